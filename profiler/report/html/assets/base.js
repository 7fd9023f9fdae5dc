"use strict";
// What all pictures share. Text from the run only ever becomes text: textContent, attributes, and the library's
// own text marks; nothing here reads markup.
const report = JSON.parse(document.getElementById("data").textContent);
const draw = {};
const WITH_TOGGLES = new Set(["forest", "ecdf", "load_latency", "goodput", "scale", "fractions", "front"]);
const SYMBOLS = ["circle", "square", "triangle", "diamond", "star", "wye", "cross"];
const DASHES = ["none", "7 3", "2 3", "9 3 2 3", "12 4", "4 2"];

const style = (place) => {
  const arm = report.arms[place];
  if (arm.baseline) return { colour: "var(--arm-base)", dash: "none", symbol: "circle" };
  return {
    colour: `var(--arm-${arm.slot})`,
    dash: DASHES[place % DASHES.length],
    symbol: SYMBOLS[place % SYMBOLS.length],
  };
};

const short = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
const named = (place, most = 18) => short(report.arms[place].name, most);
const percent = (ratio) => {
  const value = 100 * (ratio - 1);
  const text = Math.abs(value) >= 10 || value === 0 ? value.toFixed(0) : value.toFixed(1).replace(/\.0$/, "");
  return `${value > 0 ? "+" : value < 0 ? "−" : ""}${text.replace("-", "")} %`;
};
const amount = (value) => d3.format(Math.abs(value) >= 100 ? ",.0f" : ",.3~r")(value);

function plot(options) {
  const svg = Plot.plot({
    color: { type: "identity" },
    ...options,
    style: { background: "none", color: "inherit", fontFamily: "inherit", fontSize: "12px", ...options.style },
  });
  svg.setAttribute("aria-hidden", "true");
  return svg;
}

// Ticks of a logarithmic axis at 1, 2, 5; fewer where they would not fit, evenly spaced ones over a short stretch.
function logTicks(low, high, most) {
  const series = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
    for (const step of [1, 2, 5]) series.push(step * 10 ** power);
  }
  const inside = series.filter((value) => value >= low && value <= high);
  if (inside.length < 3) return d3.ticks(low, high, Math.min(most, 5)).filter((value) => value > 0);
  if (inside.length <= most) return inside;
  const tens = inside.filter((value) => Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-9);
  return tens.length > 1 ? tens : inside.filter((_, i) => i % Math.ceil(inside.length / most) === 0);
}

// An interval; an end that the data do not bound is null, and `within` brings it to the edge of what is drawn.
const unbounded = ([at, low, high]) => ({ at, low: low ?? -Infinity, high: high ?? Infinity });
const within = ([least, most]) => (value) => Math.max(least, Math.min(most, value));

// The domain of a linear axis that holds zero and every bounded value.
function edges(values) {
  const [low, high] = d3.extent([0, ...values.filter(Number.isFinite)]);
  return low < high ? d3.scaleLinear([low, high], [0, 1]).nice().domain() : [low - 1, high + 1];
}

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Small multiples: as many columns as fit, each `least` px wide or more; `make(item, width)` draws one.
function grid(items, width, least, most, make) {
  const columns = Math.max(1, Math.min(most, Math.floor((width + 24) / (least + 24))));
  const each = Math.floor((width - 24 * (columns - 1)) / columns);
  const box = element("div", { class: "grid" });
  box.style.gridTemplateColumns = `repeat(${columns}, ${each}px)`;
  for (const item of items) {
    const cell = element("div");
    cell.append(...make(item, each));
    box.append(cell);
  }
  return box;
}

const title = (text) => element("p", { class: "sub" }, text);

function swatch(attributes) {
  const svg = d3.create("svg").attr("width", 30).attr("height", 14).attr("aria-hidden", "true");
  attributes(svg);
  return svg.node();
}

const armSwatch = (place) =>
  swatch((svg) => {
    const { colour, dash, symbol } = style(place);
    svg.append("line").attr("x2", 30).attr("y1", 7).attr("y2", 7).attr("stroke", colour).attr("stroke-width", 2)
      .attr("stroke-dasharray", dash);
    const shapes = { circle: d3.symbolCircle, square: d3.symbolSquare, triangle: d3.symbolTriangle,
      diamond: d3.symbolDiamond, star: d3.symbolStar, wye: d3.symbolWye, cross: d3.symbolCross };
    svg.append("path").attr("d", d3.symbol(shapes[symbol], 50)()).attr("transform", "translate(15,7)")
      .attr("fill", colour);
  });

const boxSwatch = (fill) =>
  swatch((svg) =>
    svg.append("rect").attr("x", 6).attr("y", 1).attr("width", 18).attr("height", 12).attr("fill", fill)
      .attr("stroke", "var(--ink-2)").attr("stroke-width", 0.5));

// A legend of things that are told apart by fill.
function key(pairs) {
  const list = element("div", { class: "key" });
  for (const [name, fill] of pairs) list.append(element("span", {}, boxSwatch(fill), name));
  return list;
}

// Every arm that a picture's data speak of.
function armsOf(data, found = new Set()) {
  if (Array.isArray(data)) data.forEach((one) => armsOf(one, found));
  else if (data && typeof data === "object") {
    if (Number.isInteger(data.arm)) found.add(data.arm);
    Object.values(data).forEach((one) => armsOf(one, found));
  }
  return found;
}
