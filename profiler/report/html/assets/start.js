// Draw every picture, and again when its width changes or its arms are switched.
function picture(box) {
  const name = box.dataset.draw;
  const data = report.pictures[name];
  const hidden = new Set();
  const paint = (width) => {
    try {
      box.replaceChildren(draw[name](data, { width, on: (arm) => !hidden.has(arm) }));
    } catch (error) {
      console.error(error);
      box.replaceChildren(element("p", { class: "absent" }, "This picture could not be drawn; the table has its figures."));
    }
  };
  const arms = [...armsOf(data)].sort((a, b) => a - b);
  if (WITH_TOGGLES.has(name) && arms.length > 1) box.before(toggles(arms, hidden, () => paint(box.clientWidth)));
  let last = 0;
  const fit = () => {
    if (box.clientWidth && box.clientWidth !== last) paint((last = box.clientWidth));
  };
  new ResizeObserver(fit).observe(box);
  fit();
  return { paint, fit: () => { last = 0; fit(); } };
}

function toggles(arms, hidden, changed) {
  const group = element("div", { class: "toggles", role: "group", "aria-label": "Arms shown" });
  for (const arm of arms) {
    const input = element("input", { type: "checkbox" });
    input.checked = true;
    input.addEventListener("change", () => {
      if (input.checked) hidden.delete(arm);
      else hidden.add(arm);
      changed();
    });
    group.append(element("label", {}, input, armSwatch(arm), named(arm, 32)));
  }
  return group;
}

// Hatches, for what waits, was thrown away or is displaced: told apart without colour.
function hatches() {
  const svg = d3.create("svg").attr("width", 0).attr("height", 0).attr("aria-hidden", "true").attr("class", "defs");
  for (const [id, colour] of [["hatch-wait", "var(--wait)"], ["hatch-lost", "var(--lost)"]]) {
    const pattern = svg.append("pattern").attr("id", id).attr("width", 5).attr("height", 5)
      .attr("patternUnits", "userSpaceOnUse").attr("patternTransform", "rotate(45)");
    pattern.append("rect").attr("width", 5).attr("height", 5).attr("fill", "var(--paper)");
    pattern.append("rect").attr("width", 2.5).attr("height", 5).attr("fill", colour);
  }
  return svg.node();
}

document.body.append(hatches());
const pictures = [...document.querySelectorAll("[data-draw]")].map(picture);
const opened = [];
window.addEventListener("beforeprint", () => {
  pictures.forEach(({ paint }) => paint(680));
  for (const one of document.querySelectorAll("#figures details:not([open]), #method details:not([open])")) opened.push(one);
  opened.forEach((one) => { one.open = true; });
});
window.addEventListener("afterprint", () => {
  opened.splice(0).forEach((one) => { one.open = false; });
  pictures.forEach(({ fit }) => fit());
});
document.documentElement.dataset.drawn = String(pictures.length);
