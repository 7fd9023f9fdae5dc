draw.fractions = ({ own, asked, points }, { width, on }) => {
  const shown = points.filter(({ arm }) => on(arm)).map(({ ms, ...point }) => ({ ...point, ...unbounded(ms) }));
  const domain = edges(shown.flatMap(({ low, at, high }) => [low, at, high])), clamp = within(domain);
  const arms = d3.group(shown, ({ arm }) => arm);
  const marks = [[own, "this run"], ...(asked === null ? [] : [[asked, "asked for"]])];
  return plot({
    width,
    height: 320,
    marginLeft: 58,
    marginRight: 30,
    marginTop: 28,
    marginBottom: 40,
    x: { domain: [0, 1], tickFormat: (share) => `${Math.round(100 * share)} %`, label: "share of harmful requests", labelAnchor: "center", labelArrow: "none" },
    y: { domain, label: "E2EL tax, ms", grid: true, labelArrow: "none", tickFormat: amount },
    marks: [
      Plot.ruleY([0], { stroke: "var(--ink)" }),
      Plot.ruleX(marks, { x: ([share]) => share, stroke: "var(--ink-2)", strokeDasharray: "3 3" }),
      Plot.text(marks, { x: ([share]) => share, text: ([, what]) => what, frameAnchor: "top", dy: -14, textAnchor: "start", dx: -6 }),
      ...[...arms].map(([arm, mine]) => Plot.areaY(mine, { x: "harmful", y1: ({ low }) => clamp(low), y2: ({ high }) => clamp(high), fill: style(arm).colour, fillOpacity: 0.13 })),
      ...[...arms].map(([arm, mine]) => Plot.line(mine, { x: "harmful", y: "at", stroke: style(arm).colour, strokeWidth: 2.2, strokeDasharray: style(arm).dash })),
      ...[...arms].map(([arm, mine]) => Plot.dot(mine.filter((_, i) => i % 5 === 0), { x: "harmful", y: "at", r: 4, symbol: style(arm).symbol, fill: style(arm).colour, title: ({ harmful, at }) => `${named(arm)}: ${amount(at)} ms at ${Math.round(100 * harmful)} %`, tip: true })),
    ],
  });
};
