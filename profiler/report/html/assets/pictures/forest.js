draw.forest = ({ panels }, { width, on }) => {
  const wide = width >= 680;
  const rows = panels.flatMap(({ metric, rows: mine }) =>
    mine.filter(({ arm }) => on(arm)).map(({ ratio: [at, low, high], ...row }) => ({ ...row, metric, at, low, high })));
  const bands = panels.filter(({ floor }) => floor)
    .map(({ metric, floor }) => ({ metric, low: 1 + floor[0], high: 1 + floor[1] }));
  const ends = [...rows, ...bands].flatMap(({ low, high }) => [low, high]).filter((end) => end > 0);
  const low = 0.97 * Math.max(0.02, Math.min(0.95, ...ends)), high = 1.03 * Math.min(100, Math.max(1.05, ...ends));
  const inside = (end, other) => Math.min(high, Math.max(low, end ?? other));
  const ticks = [0.02, 0.05, 0.1, 0.25, 0.5, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 3, 5, 10, 20, 50, 100]
    .filter((tick) => tick >= low && tick <= high);
  const most = Math.max(3, Math.floor(width / 90));
  const scale = d3.scaleLog([low, high], [0, width - (wide ? 330 : 120)]);
  const apart = [];
  for (const tick of [1, ...ticks.filter((t) => t !== 1)]) {
    if (apart.every((other) => Math.abs(scale(other) - scale(tick)) > 46) && apart.length <= most) apart.push(tick);
  }
  const arms = [...new Set(rows.map(({ arm }) => arm))].sort((a, b) => a - b);
  const metrics = panels.map(({ metric }) => metric);
  return plot({
    width,
    height: 66 + metrics.length * (32 + 21 * Math.max(1, arms.length)),
    marginLeft: wide ? 150 : 96,
    marginRight: wide ? 200 : 20,
    marginTop: 30,
    marginBottom: 40,
    x: { type: "log", domain: [low, high], ticks: apart, tickFormat: percent, label: "difference to the baseline", grid: true, labelAnchor: "center", labelArrow: "none" },
    y: { type: "point", domain: arms, axis: null, padding: 0.2 },
    fy: { domain: metrics, axis: null, padding: 32 / (32 + 21 * Math.max(1, arms.length)), paddingOuter: 0 },
    marks: [
      Plot.rect(bands, { fy: "metric", x1: ({ low: end }) => inside(end, low), x2: ({ high: end }) => inside(end, high), fill: "var(--band)", insetTop: -2, insetBottom: -2 }),
      Plot.ruleX([1], { stroke: "var(--ink)", strokeWidth: 1.2 }),
      Plot.text(metrics, { fy: (m) => m, text: (m) => m, frameAnchor: "top-left", dx: wide ? -146 : -92, dy: -17, fontWeight: 700, textAnchor: "start" }),
      Plot.text(rows, { fy: "metric", y: "arm", text: ({ arm }) => named(arm, wide ? 20 : 12), frameAnchor: "left", dx: -8, textAnchor: "end" }),
      Plot.link(rows, { fy: "metric", y1: "arm", y2: "arm", x1: ({ low: end }) => inside(end, low), x2: ({ high: end }) => inside(end, high), stroke: ({ arm }) => style(arm).colour, strokeWidth: 2 }),
      Plot.dot(rows, { fy: "metric", y: "arm", x: ({ at }) => inside(at, 1), r: 5, symbol: ({ arm }) => style(arm).symbol, stroke: ({ arm }) => style(arm).colour, strokeWidth: 1.8, fill: ({ arm, claimed }) => (claimed ? style(arm).colour : "var(--paper)") }),
      wide ? Plot.text(rows, { fy: "metric", y: "arm", text: "said", frameAnchor: "right", dx: 12, textAnchor: "start", fontSize: 11, fontVariant: "tabular-nums" }) : null,
    ],
  });
};
