draw.memory = ({ panels, pool }, { width }) => {
  const box = element("div");
  const roles = [...new Set(panels.flatMap(({ bars }) => bars.map(({ role }) => role)))];
  const fill = (role) => (role.startsWith("guard") ? "var(--arm-0)" : `var(--role-${roles.indexOf(role) % 5})`);
  if (roles.length > 1) box.append(key(roles.map((role) => [role, fill(role)])));
  for (const { what, bars } of panels) {
    const arms = [...new Set(bars.map(({ arm }) => arm))];
    const sums = d3.rollups(bars, (mine) => d3.sum(mine, ({ mib }) => mib), ({ arm }) => arm);
    box.append(title(`${what}, MiB`), plot({
      width,
      height: 50 + 30 * arms.length,
      marginLeft: 110,
      marginRight: 56,
      marginTop: 6,
      marginBottom: 36,
      x: { label: "MiB", labelAnchor: "center", labelArrow: "none", ticks: Math.max(3, Math.floor(width / 110)), grid: true },
      y: { type: "band", domain: arms, tickFormat: (arm) => named(arm, 14), label: null, tickSize: 0, padding: 0.25 },
      marks: [
        Plot.barX(bars, { y: "arm", x: "mib", fill: ({ role }) => fill(role), stroke: "var(--paper)", strokeWidth: 0.7, order: roles, z: "role" }),
        Plot.text(sums, { y: ([arm]) => arm, x: ([, mib]) => mib, text: ([, mib]) => amount(mib), dx: 6, textAnchor: "start" }),
        Plot.ruleX([0], { stroke: "var(--ink)" }),
      ],
    }));
  }
  if (pool) {
    const parts = pool.rows.flatMap(({ who, share }) => [
      { who, part: "displaced", from: 1 - share, to: 1, fill: "url(#hatch-lost)" },
      { who, part: "left", from: 0, to: 1 - share, fill: "var(--role-1)" }]);
    box.append(title("KV pool"), key([["left to the generator", "var(--role-1)"], ["displaced by guards", "url(#hatch-lost)"]]), plot({
      width,
      height: 56 + 46 * pool.rows.length,
      marginLeft: 110,
      marginRight: 30,
      marginTop: 14,
      marginBottom: 36,
      x: { domain: [0, 1], tickFormat: (share) => `${Math.round(100 * share)} %`, label: `of ${d3.format(",")(pool.tokens)} tokens`, labelAnchor: "center", labelArrow: "none", ticks: 5 },
      y: { domain: pool.rows.map(({ who }) => who), tickFormat: (who) => short(who, 14), label: null, tickSize: 0, padding: 0.45 },
      marks: [
        Plot.barX(parts, { y: "who", x1: "from", x2: "to", fill: "fill", stroke: "var(--ink-2)", strokeWidth: 0.7 }),
        Plot.text(pool.rows, { y: "who", x: 1, text: ({ said }) => `displaced: ${said}`, dy: -20, textAnchor: "end" }),
      ],
    }));
  }
  return box;
};
