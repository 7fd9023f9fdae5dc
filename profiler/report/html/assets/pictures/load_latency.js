draw.load_latency = ({ panels }, { width, on }) =>
  grid(panels, width, 300, panels.length, ({ metric, slo, points }, each) => {
    const shown = points.filter(({ arm }) => on(arm)).map(({ ms, ...point }) => ({ ...point, ...unbounded(ms) }));
    const times = [...points.flatMap(({ ms }) => ms), slo].filter((ms) => ms > 0);
    const domain = d3.extent(times), clamp = within(domain);
    const series = d3.group(shown, ({ arm }) => arm, ({ q }) => q);
    return [title(`${metric}, ms`), plot({
      width: each,
      height: 300,
      marginTop: 10,
      marginLeft: 52,
      marginRight: 34,
      marginBottom: 40,
      x: { label: "requests/s offered", labelAnchor: "center", labelArrow: "none", inset: 8, ticks: 5 },
      y: { type: "log", domain, ticks: logTicks(...domain, 6), tickFormat: amount, label: null, grid: true },
      marks: [
        slo ? Plot.ruleY([slo], { stroke: "var(--tax)", strokeWidth: 1.6, strokeDasharray: "6 4" }) : null,
        slo ? Plot.text([slo], { y: (at) => at, text: () => "SLO", frameAnchor: "right", dx: 26, textAnchor: "end", fill: "var(--tax)" }) : null,
        ...[...series].flatMap(([arm, byQuantile]) => [...byQuantile].flatMap(([q, mine]) => [
          Plot.line(mine, { x: "rate", y: "at", stroke: style(arm).colour, strokeWidth: q === "p50" ? 1.2 : 2.2, strokeDasharray: style(arm).dash }),
          Plot.link(mine, { x1: "rate", x2: "rate", y1: ({ low }) => clamp(low), y2: ({ high }) => clamp(high), stroke: style(arm).colour }),
          Plot.dot(mine, { x: "rate", y: "at", r: 3.5, symbol: style(arm).symbol, stroke: style(arm).colour, fill: q === "p50" ? "var(--paper)" : style(arm).colour, title: ({ rate, at }) => `${named(arm)}: ${q} ${amount(at)} ms at ${amount(rate)}/s`, tip: true }),
        ])),
      ],
    })];
  });
