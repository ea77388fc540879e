#pragma once
/// The script of the HTML report, part 1 of 4: numbers, colours, elements, and the state that all sections share. Plain
/// JavaScript (a module), no library. Four parts because one would be too long to read, and because compilers need not
/// accept more than 64 KiB in a string literal. Text from the data reaches the page as text nodes, never as markup.
#include <string_view>

#include "susc/core/requirements.hpp"

namespace susc::detail {

// clang-format off
inline constexpr std::string_view report_script = R"js(
const data = JSON.parse(document.getElementById("data").textContent);
const components = data.components, probes = data.probes, C = components.length;
const heads = new Map((data.heads || []).map((head) => [head.name, head]));
const list = (value) => Array.isArray(value) ? value : [];
const known = (x) => typeof x === "number" && isFinite(x);

/* ---- numbers ---- */
const minus = (text) => text.replace(/-/g, "\u2212");
const power = (n) => "10" +
    String(n).replace(
        /./g, (c) => c === "-" ? "\u207b" : "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"[+c]);
const fixed = (x, digits) => known(x) ? minus(x.toFixed(digits)).replace(/^\u2212(?=[0.]*$)/, "") : "\u2013";
function significant(x, digits = 3) {
  if (!known(x)) return "\u2013";
  if (x === 0) return "0";
  const exponent = Math.floor(Math.log10(Math.abs(x)));
  if (exponent < -3 || exponent > 5) return fixed(x / 10 ** exponent, digits - 1) + " \u00d7 " + power(exponent);
  return fixed(x, Math.max(0, digits - 1 - exponent));
}
/* Value and standard error to two digits of the error, with one common power of ten. */
function with_error(value, error) {
  if (!known(value)) return "\u2013";
  if (!known(error) || error <= 0) return significant(value);
  const largest = Math.floor(Math.log10(Math.max(Math.abs(value), error)));
  const exponent = largest < -2 || largest > 4 ? largest : 0, unit = 10 ** exponent;
  const digits = Math.min(6, Math.max(0, 1 - Math.floor(Math.log10(error / unit))));
  const text = fixed(value / unit, digits) + " \u00b1 " + fixed(error / unit, digits);
  return exponent ? "(" + text + ") \u00d7 " + power(exponent) : text;
}
const percent = (x) => !known(x) ? "\u2013" :
                                   (100 * x).toFixed(
                                       x >= 0.995       ? 0 :
                                           x >= 0.0995  ? 0 :
                                           x >= 0.00995 ? 1 :
                                                          2) +
        " %";
const largest = (values) => values.reduce((a, x) => known(x) ? Math.max(a, Math.abs(x)) : a, 0);
function percentile(values, fraction) {
  const sorted = values.filter(known).map(Math.abs).sort((a, b) => a - b);
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(fraction * sorted.length))] : 0;
}
function ticks(low, high, count) {
  const raw = (high - low) / count || 1, unit = 10 ** Math.floor(Math.log10(raw));
  const step = unit * [1, 2, 5, 10].find((m) => m * unit >= raw * 0.999), found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; ++k) found.push(k * step);
  return {values: found, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9))};
}

/* ---- colours: scales interpolated in OKLab between the style's variables ---- */
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
function oklab(hex) {
  const [r, g, b] = [1, 3, 5]
                        .map((i) => parseInt(hex.slice(i, i + 2), 16) / 255)
                        .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b),
        m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b),
        s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s, 1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s
  ];
}
/* A colour for CSS, and the ink (black or white) that contrasts more on it. */
function colour([L, a, b]) {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3, m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3,
        s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const linear = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s, -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s
  ].map((c) => Math.min(1, Math.max(0, c)));
  const luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  const rgb = linear.map((c) => Math.round(255 * (c <= 0.0031308 ? 12.92 * c : 1.055 * c ** (1 / 2.4) - 0.055)));
  return {css: `rgb(${rgb.join(" ")})`, ink: luminance > 0.18 ? "#15161a" : "#ffffff"};
}
function ramp(names) {
  const stops = names.map((name) => oklab(style(name)));
  return (t) => {
    const x = Math.min(1, Math.max(0, t)) * (stops.length - 1), i = Math.min(stops.length - 2, Math.floor(x));
    return colour(stops[i].map((from, k) => from + (stops[i + 1][k] - from) * (x - i)));
  };
}
let sequential, diverging_ramp;
/* Colour of a signed value: the centre of the scale is 0, `limit` and beyond its end. */
const diverging = (value, limit) =>
    diverging_ramp(limit > 0 ? 0.5 + 0.5 * Math.max(-1, Math.min(1, value / limit)) : 0.5);
const gradient = (scale) =>
    `linear-gradient(to right, ${Array.from({length: 17}, (_, i) => scale(i / 16).css).join(", ")})`;

/* ---- elements ---- */
function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties || {})) {
    if (value == null || value === false) continue;
    if (name === "tip")
      element.tip = value;
    else if (name.startsWith("on"))
      element.addEventListener(name.slice(2), value);
    else if (name === "style")
      element.style.cssText = value;
    else
      element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}
const h = (name, properties, ...children) => fill(document.createElement(name), properties, children);
const svg = (name, properties, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", name), properties, children);
const find = (selector, root = document) => root.querySelector(selector);
function show(id) {
  const element = document.getElementById(id);
  element.hidden = false;
  return element;
}
const canvas = (width, height, label, ...children) =>
    svg("svg", {width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label}, ...children);
const text_at = (x, y, anchor, label, properties) => svg("text", {x, y, "text-anchor": anchor, ...properties}, label);
const line = (x1, y1, x2, y2, kind) => svg("line", {x1, y1, x2, y2, class: kind});
const shorten = (text, length) => text.length > length ? text.slice(0, length - 1) + "\u2026" : text;
function table(headings, rows) {
  return h(
      "table", {class: "plain"},
      h("thead", {},
        h("tr", {},
          headings.map(([label, numeric]) => h("th", {scope: "col", class: numeric ? "number" : "word"}, label)))),
      h("tbody", {}, rows));
}
const cell = (text, bad) => h("td", {class: "number" + (bad ? " bad" : "")}, text);

/* One tooltip for the page; any element may carry a function `tip` that returns its lines. */
const tooltip = document.getElementById("tip");
function tell(event) {
  let target = event.target;
  while (target && !target.tip) target = target.parentNode;
  const lines = target && target.tip(event);
  if (!lines) return silence();
  tooltip.replaceChildren(h("b", {}, lines[0]), ...lines.slice(1).map((text) => h("div", {}, text)));
  tooltip.hidden = false;
  const box = target.tip_at_pointer ? new DOMRect(event.clientX, event.clientY, 14, 14) :
                                      target.getClientRects()[0] || target.getBoundingClientRect(),
        size = tooltip.getBoundingClientRect();
  tooltip.style.left = Math.max(4, Math.min(box.left, innerWidth - size.width - 6)) + "px";
  tooltip.style.top =
      (box.bottom + 6 + size.height < innerHeight ? box.bottom + 6 : Math.max(4, box.top - size.height - 6)) + "px";
}
function silence() {
  tooltip.hidden = true;
}
for (const name of ["pointerover", "focusin"]) document.addEventListener(name, tell);
for (const name of ["pointerleave", "focusout"]) document.addEventListener(name, silence, true);
/* Focus may scroll to its element: the tooltip then follows; under a pointer it would be in the wrong place. */
document.addEventListener("scroll", () => {
  if (!tooltip.hidden && document.activeElement.tip)
    tell({target: document.activeElement});
  else
    silence();
}, true);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") silence();
});

/* One tab stop for many items; arrow keys move among them (columns = 0: a running text). */
function rove(items, columns) {
  items.forEach((item, i) => {
    item.tabIndex = i === 0 ? 0 : -1;
    item.addEventListener("focus", () => {
      for (const other of items) other.tabIndex = other === item ? 0 : -1;
    });
    item.addEventListener("keydown", (event) => {
      const step = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns}[event.key];
      if (step && items[i + step]) {
        event.preventDefault();
        items[i + step].focus();
      } else if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        item.click();
      }
    });
  });
}

/* ---- shared state: what the reader chose; also in the address, so that a view can be linked ---- */
const matrices = data.response_matrix, modes = data.principal_components || {};
const texts =
    new Map(list(data.text).filter((text) => list(text.sequences).length).map((text) => [text.probe, text.sequences]));
const state = {
  component:
      (list(data.heads).find((head) => head.induction && components.includes(head.name)) || {name: components[0]}).name,
  probe: probes.find((probe) => texts.has(probe)) || texts.keys().next().value || probes[0],
  centring: data.centring,
  scale: "matrix",
  rows: list(modes.tokens && modes.tokens.loadings).length ? "tokens" : "probes",
  order: "model",
  mode: 0,
  faint: "show",
  trace: null,
  all: false,
};
const saved = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
if (components.includes(saved.get("component"))) state.component = saved.get("component");
if (probes.includes(saved.get("probe")) || texts.has(saved.get("probe"))) state.probe = saved.get("probe");
if (matrices[saved.get("centring")]) state.centring = saved.get("centring");
state.trace = state.component;
const drawings = [];  // {keys: state names that a drawing depends on ("size": the window's width), draw}
const draws = (keys, draw) => {
  drawings.push({keys, draw});
  draw();
};
function redraw(...changed) {
  for (const {keys, draw} of drawings)
    if (changed.some((key) => keys.includes(key))) draw();
}
function choose(change) {
  if (change.component) change.trace = change.component;
  Object.assign(state, change);
  redraw(...Object.keys(change));
  try {
    history.replaceState(
        null, "",
        "#" + new URLSearchParams({component: state.component, probe: state.probe, centring: state.centring}));
  } catch (error) { /* the address of a local file may be read-only */
  }
}
/* A row of buttons, one pressed, for a state name. */
function choice(label, key, options) {
  const buttons =
      options.map(([value, text]) => h("button", {type: "button", onclick: () => choose({[key]: value})}, text));
  draws([key], () => buttons.forEach((button, i) => button.setAttribute("aria-pressed", state[key] === options[i][0])));
  return h("div", {class: "choice", role: "group", "aria-label": label}, h("span", {}, label), buttons);
}
const layer_of = (name) => heads.has(name) ? heads.get(name).layer :
    /^l(\d+)/.test(name)                   ? +/^l(\d+)/.exec(name)[1] :
                                             null;
const score_of = (name) => heads.has(name) ? heads.get(name).prefix_matching : null;
const top_score = Math.max(0.2, ...[...heads.values()].map((head) => head.prefix_matching || 0));
const head_colour = (name) =>
    known(score_of(name)) ? sequential(score_of(name) / top_score).css : style("--strong-line");
const paint = () => {
  sequential = ramp(["--low", "--middle", "--high"]);
  diverging_ramp = ramp(["--neg2", "--neg1", "--zero", "--pos1", "--pos2"]);
};
paint();
)js";
// clang-format on

}  // namespace susc::detail
