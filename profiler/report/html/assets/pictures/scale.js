const sized = (how, size) => d3.format(how)(size).replace("G", "B").replace("k", "K");

draw.scale = ({ panels }, { width, on }) =>
  grid(panels, width, 320, 2, ({ title: name, percent: share, points, laws }, each) => {
    const mine = points.filter(({ arm }) => on(arm)).filter(({ tax: [at] }) => at !== null).map(({ tax, ...point }) =>
      ({ ...point, ...unbounded(tax.map((end) => (end === null ? null : share ? 100 * end : end))) }));
    const ends = mine.flatMap(({ low, at, high }) => [low, at, high]);
    const signs = new Set(ends.map(Math.sign));
    // Logarithms of one sign only; a saving lies below.
    const log = ends.length > 0 && signs.size === 1 && !signs.has(0);
    const sign = log ? [...signs][0] : 1;
    const sizes = points.map(({ size }) => size);
    const [small, large] = [Math.min(...sizes) / 1.3, Math.max(...sizes) * 1.3];
    const steps = d3.range(41).map((i) => small * (large / small) ** (i / 40));
    const lines = log ? laws.filter(({ arm }) => on(arm)).flatMap(({ arm, factor, exponent }) =>
      steps.map((size) => ({ arm, size, at: (share ? 100 : 1) * factor * size ** exponent }))) : [];
    const y = (value) => sign * value;
    const bounded = [...ends, ...lines.map(({ at }) => at)].filter(Number.isFinite).map(y);
    const domain = log ? [Math.min(...bounded) / 1.1, Math.max(...bounded) * 1.1] : edges(bounded);
    const clamp = within(domain);
    const told = laws.filter(({ arm }) => on(arm)).map(({ arm, said }) =>
      element("p", { class: "told" }, `${named(arm, 30)}: ${said}`));
    return [title(name), plot({
      width: each,
      height: 280,
      marginTop: 10,
      marginLeft: 56,
      marginRight: 20,
      marginBottom: 40,
      x: { type: "log", domain: [small, large], ticks: logTicks(small, large, Math.floor(each / 60)), tickFormat: (size) => sized("~s", size), label: "parameters", labelAnchor: "center", labelArrow: "none" },
      y: log
        ? { type: "log", domain, ticks: logTicks(...domain, 6), tickFormat: (v) => amount(sign * v), label: null, grid: true, reverse: sign < 0 }
        : { domain, label: null, grid: true, tickFormat: amount },
      marks: [
        log ? null : Plot.ruleY([0], { stroke: "var(--ink)" }),
        Plot.line(lines, { x: "size", y: ({ at }) => y(at), z: "arm", stroke: ({ arm }) => style(arm).colour, strokeWidth: 1.6, strokeDasharray: "6 4" }),
        Plot.link(mine, { x1: "size", x2: "size", y1: ({ low }) => clamp(y(low)), y2: ({ high }) => clamp(y(high)), stroke: ({ arm }) => style(arm).colour, strokeWidth: 2 }),
        Plot.dot(mine, { x: "size", y: ({ at }) => y(at), r: 5, symbol: ({ arm }) => style(arm).symbol, fill: ({ arm }) => style(arm).colour, title: ({ arm, size, at }) => `${named(arm)}: ${amount(at)}${share ? " %" : ""} at ${sized(".3~s", size)}`, tip: true }),
      ],
    }), ...told];
  });
