draw.timelines = ({ lines }, { width }) => {
  const fills = {
    "first token": "var(--stage-engine)", "further tokens": "var(--stage-tokens)", aborted: "url(#hatch-lost)",
    queue: "url(#hatch-wait)", "hold back": "url(#hatch-wait)", candidates: "url(#hatch-wait)",
    prefill: "var(--arm-0)", decode: "var(--arm-2)", scoring: "var(--arm-3)", work: "var(--arm-4)",
  };
  const fill = (what) => fills[what] ?? "var(--ink-2)";
  const used = [...new Set(lines.flatMap(({ bars }) => bars.map(([, what]) => what)))];
  const names = { "hold back": "waiting", queue: "waiting", candidates: "waiting" };
  const legend = new Map(used.map((what) => [names[what] ?? what, fill(what)]));
  const box = element("div", {}, key(legend));
  for (const [arm, mine] of d3.group(lines, ({ arm: place }) => place)) {
    box.append(title(named(arm, 40)), grid(mine, width, 300, 3, (line, each) => request(line, each, fill)));
  }
  return box;
};

function request({ which, e2el, outcome, bars, ticks }, width, fill) {
  const guards = [...new Set(bars.map(([lane]) => lane).filter((lane) => lane !== "engine"))];
  const asked = [...new Set(ticks.map(([lane]) => lane))].filter((lane) => !["engine", "user"].includes(lane));
  const lanes = ["engine", ...new Set([...guards, ...asked]), "user"];
  const end = Math.max(e2el, ...bars.map(([, , , to]) => to), 1e-3);
  const pieces = ticks.filter(([lane]) => lane === "engine" || lane === "user");
  const said = ticks.filter(([lane]) => lane !== "engine" && lane !== "user");
  const told = `${which} · ${amount(e2el)} ms · ${outcome}`;
  return [element("p", { class: "told" }, told), plot({
    width,
    height: 40 + 24 * lanes.length,
    marginLeft: 84,
    marginRight: 14,
    marginTop: 4,
    marginBottom: 34,
    x: { domain: [Math.min(0, ...bars.map(([, , from]) => from)), end], label: "ms", labelAnchor: "center", labelArrow: "none", ticks: Math.max(3, Math.floor(width / 90)) },
    y: { domain: lanes, tickFormat: (lane) => short(lane, 12), label: null, tickSize: 0, padding: 0.22 },
    marks: [
      Plot.ruleY(lanes, { y: (lane) => lane, stroke: "var(--line)" }),
      Plot.barX(bars, { y: "0", x1: "2", x2: "3", fill: ([, what]) => fill(what), stroke: "var(--ink-2)", strokeWidth: 0.6, insetTop: 2, insetBottom: 2 }),
      Plot.tickX(pieces, { y: "0", x: "2", stroke: "var(--ink)", strokeWidth: 1, insetTop: 4, insetBottom: 4 }),
      Plot.dot(said, { y: "0", x: "2", symbol: "diamond", r: 4, fill: ([, what]) => (["block", "redact"].includes(what) ? "var(--tax)" : "var(--paper)"), stroke: "var(--ink)", title: ([lane, what]) => `${short(lane, 20)}: ${what}`, tip: true }),
    ],
  })];
}
