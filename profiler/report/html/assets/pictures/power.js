draw.power = ({ windows, points, breaks }, { width }) => {
  const sources = [...new Set(points.map(({ source }) => source))];
  const end = Math.max(1, ...windows.map(({ to }) => to), ...points.map(({ s }) => s));
  const labelled = windows.filter(({ from, to }) => ((to - from) / end) * (width - 80) >= 13);
  return plot({
    width,
    height: 320,
    marginLeft: 50,
    marginRight: 14,
    marginTop: 12,
    marginBottom: 40,
    x: { domain: [0, end], label: "seconds since the first trial", labelAnchor: "center", labelArrow: "none" },
    y: { label: "W", zero: true, grid: true, labelArrow: "none" },
    marks: [
      Plot.rect(windows, { x1: "from", x2: "to", fill: ({ arm }) => style(arm).colour, fillOpacity: 0.16 }),
      Plot.ruleX(windows, { x: "from", stroke: "var(--line)" }),
      Plot.ruleX(breaks, { stroke: "var(--ink)", strokeDasharray: "6 4" }),
      ...sources.map((source, i) => Plot.line(points.filter((point) => point.source === source), { x: "s", y: "w", z: "trial", stroke: "var(--ink)", strokeWidth: 1.6, strokeDasharray: DASHES[i % DASHES.length] })),
      Plot.text(labelled, { x: ({ from, to }) => (from + to) / 2, text: ({ arm }) => named(arm, 16), frameAnchor: "bottom", rotate: -90, textAnchor: "start", dy: -6, fontSize: 11, stroke: "var(--paper)", strokeWidth: 3, fill: "var(--ink)" }),
      Plot.ruleY([0], { stroke: "var(--ink)" }),
    ],
  });
};
