draw.waterfall = ({ panels }, { width }) =>
  grid(panels, width, 320, 2, ({ arm, metric, steps }, each) => {
    const kind = ({ entry, start, end }) =>
      entry === "measured" ? "var(--ink-2)" : end >= start ? "var(--tax)" : "var(--saving)";
    const ends = steps.flatMap(({ start, end, reach }) => [start, end, end - (reach ?? 0), end + (reach ?? 0)]);
    const low = Math.min(0, ...ends), high = Math.max(0, ...ends), room = 0.04 * (high - low || 1);
    const domain = [low - room, high + room], clamp = within(domain);
    return [title(`${named(arm, 24)} · ${metric}`), plot({
      width: each,
      height: 190,
      marginTop: 6,
      marginLeft: 72,
      marginRight: 96,
      marginBottom: 36,
      x: { domain, label: "ms a request", labelAnchor: "center", labelArrow: "none", ticks: 4, grid: true },
      y: { domain: steps.map(({ entry }) => entry), label: null, tickSize: 0, padding: 0.28 },
      marks: [
        Plot.barX(steps, { y: "entry", x1: "start", x2: "end", fill: kind }),
        Plot.link(steps, { y1: "entry", y2: "entry", x1: ({ end, reach }) => clamp(end - (reach ?? Infinity)), x2: ({ end, reach }) => clamp(end + (reach ?? Infinity)), stroke: "var(--ink)", strokeWidth: 1.4 }),
        Plot.tickX(steps, { y: "entry", x: "end", stroke: "var(--ink)", strokeWidth: 1.4 }),
        Plot.text(steps, { y: "entry", text: ({ said }) => said.replace(" ms", ""), frameAnchor: "right", dx: 90, textAnchor: "end", fontVariant: "tabular-nums" }),
        Plot.ruleX([0], { stroke: "var(--ink)" }),
      ],
    })];
  });
