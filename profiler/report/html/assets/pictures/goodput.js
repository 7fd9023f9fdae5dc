draw.goodput = ({ required, points, capacities }, { width, on }) => {
  const shown = points.filter(({ arm }) => on(arm)).map(({ share: [at, low, high], ...point }) => ({ ...point, at, low, high }));
  const rates = points.map(({ rate }) => rate);
  const low = Math.min(...rates) * 0.96, high = Math.max(...rates) * 1.04;
  const full = capacities.filter(({ arm }) => on(arm));
  return plot({
    width,
    height: 320,
    marginLeft: 50,
    marginRight: 24,
    marginTop: 24,
    marginBottom: 40,
    x: { type: "log", domain: [low, high], ticks: logTicks(low, high, Math.floor(width / 70)), tickFormat: amount, label: "requests/s offered", labelAnchor: "center", labelArrow: "none" },
    y: { domain: [0, 1], tickFormat: (share) => `${Math.round(100 * share)} %`, label: "good requests", labelArrow: "none", grid: true },
    marks: [
      Plot.rect(full, { x1: ({ from }) => Math.max(low, from ?? low), x2: ({ to }) => Math.min(high, to ?? high), y1: 0, y2: 1, fill: ({ arm }) => style(arm).colour, fillOpacity: 0.12 }),
      ...full.map(({ arm, hz }) => Plot.ruleX([hz], { stroke: style(arm).colour, strokeWidth: 1.6, strokeDasharray: style(arm).dash })),
      Plot.ruleY([required], { stroke: "var(--tax)", strokeWidth: 1.6, strokeDasharray: "6 4" }),
      Plot.text([required], { y: (at) => at, text: (at) => `required: ${amount(100 * at)} %`, frameAnchor: "left", dx: 6, dy: 10, textAnchor: "start", fill: "var(--tax)", stroke: "var(--paper)", strokeWidth: 3 }),
      Plot.link(shown, { x1: "rate", x2: "rate", y1: "low", y2: "high", stroke: ({ arm }) => style(arm).colour, strokeWidth: 1.4 }),
      Plot.dot(shown, { x: "rate", y: "at", r: 4.5, symbol: ({ arm }) => style(arm).symbol, fill: ({ arm }) => style(arm).colour, title: ({ arm, rate, at }) => `${named(arm)}: ${amount(100 * at)} % good at ${amount(rate)}/s`, tip: true }),
      Plot.ruleY([0], { stroke: "var(--ink)" }),
    ],
  });
};
