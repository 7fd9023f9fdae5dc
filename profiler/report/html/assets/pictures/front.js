draw.front = ({ points }, { width, on }) => {
  const shown = points.filter(({ arm }) => on(arm)).map(({ tax, share, ...point }) => ({ ...point, tax: tax[0], share: share[0], cost: unbounded(tax), gain: unbounded(share) }));
  const domain = edges(shown.flatMap(({ cost: { low, at, high } }) => [low, at, high])), clamp = within(domain), part = within([0, 1]);
  const best = shown.filter(({ front }) => front).sort((a, b) => a.tax - b.tax);
  return plot({
    width,
    height: Math.min(420, Math.max(300, width * 0.5)),
    marginLeft: 54,
    marginRight: 60,
    marginTop: 24,
    marginBottom: 40,
    x: { domain, label: "E2EL tax, ms", labelAnchor: "center", labelArrow: "none", grid: true },
    y: { domain: [0, 1], tickFormat: (share) => `${Math.round(100 * share)} %`, label: "harmful prompts answered", labelArrow: "none", grid: true },
    marks: [
      Plot.ruleX([0], { stroke: "var(--ink-2)" }),
      Plot.line(best, { x: "tax", y: "share", stroke: "var(--ink)", strokeWidth: 1.4, strokeDasharray: "2 4" }),
      Plot.link(shown, { x1: ({ cost }) => clamp(cost.low), x2: ({ cost }) => clamp(cost.high), y1: "share", y2: "share", stroke: ({ arm }) => style(arm).colour, strokeWidth: 1.6 }),
      Plot.link(shown, { x1: "tax", x2: "tax", y1: ({ gain }) => part(gain.low), y2: ({ gain }) => part(gain.high), stroke: ({ arm }) => style(arm).colour, strokeWidth: 1.6 }),
      Plot.dot(shown, { x: "tax", y: "share", r: 7, symbol: ({ arm }) => style(arm).symbol, stroke: ({ arm }) => style(arm).colour, strokeWidth: 2, fill: ({ arm, front }) => (front ? style(arm).colour : "var(--paper)") }),
      ...[0, 1].map((odd) => Plot.text(shown.filter((_, i) => i % 2 === odd), { x: "tax", y: "share", text: ({ arm }) => named(arm, 16), dx: 10, dy: odd ? 15 : -12, textAnchor: "start", fontWeight: 600, stroke: "var(--paper)", strokeWidth: 4, fill: "var(--ink)" })),
    ],
  });
};
