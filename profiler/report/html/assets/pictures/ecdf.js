draw.ecdf = ({ panels }, { width, on }) =>
  grid(panels, width, 205, panels.length, ({ metric, curves }, each) => {
    const shown = curves.filter(({ arm }) => on(arm));
    const times = curves.flatMap(({ ms }) => ms).filter((ms) => ms > 0);
    const low = Math.min(...times), high = Math.max(...times);
    const points = ({ ms, share }) => ms.map((at, i) => ({ ms: at, share: share[i] })).filter((point) => point.ms > 0);
    return [title(metric), plot({
      width: each,
      height: 272,
      marginTop: 10,
      marginLeft: 44,
      marginRight: 22,
      marginBottom: 40,
      x: { type: "log", domain: low < high ? [low, high] : [low / 2, high * 2], ticks: logTicks(low, high, Math.floor(each / 50)), tickFormat: amount, label: `${metric}, ms`, labelAnchor: "center", labelArrow: "none" },
      y: { domain: [0, 1], ticks: [0, 0.25, 0.5, 0.75, 0.9, 1], tickFormat: (q) => `${Math.round(100 * q)} %`, label: null, grid: true },
      marks: [
        ...shown.map((curve) => Plot.line(points(curve), { x: "ms", y: "share", curve: "step-after", stroke: style(curve.arm).colour, strokeWidth: 2, strokeDasharray: style(curve.arm).dash })),
        ...shown.map((curve) => Plot.dot(points(curve).filter(({ share }) => curve.marked.includes(share)), {
          x: "ms", y: "share", r: 4, symbol: style(curve.arm).symbol, fill: style(curve.arm).colour, stroke: "var(--paper)", strokeWidth: 0.8,
          title: ({ ms, share }) => `${named(curve.arm)}: p${Math.round(100 * share)} ${amount(ms)} ms`, tip: true })),
      ],
    })];
  });
