#pragma once
/// The script of the HTML report, part 2 of 4: the figures. One function a section: response matrix, principal
/// components, traces. Over 300 lines because a figure in plain JavaScript spells out its axes and labels.
#include <string_view>

#include "susc/core/requirements.hpp"

namespace susc::detail {

// clang-format off
inline constexpr std::string_view report_figures = R"js(
/* ---- response matrix ---- */
function response() {
  const section = show("response"), found = ["full", "restricted"].filter((name) => matrices[name]);
  find(".controls", section)
      .append(
          found.length > 1 ? choice("Centring", "centring", found.map((name) => [name, name])) :
                             h("span", {class: "quiet"}, "Centring: " + found[0]),
          choice("Colour scale", "scale", [["matrix", "whole matrix"], ["column", "each component"]]));
  draws(["centring", "scale", "theme", "size"], () => {
    const {value, error} = matrices[state.centring], top = largest(value.flat());
    const decade = top > 0 ? Math.floor(Math.log10(top)) : 0, exponent = Math.abs(decade) < 2 ? 0 : decade,
          unit = 10 ** exponent, times = exponent ? "\u00d7 " + power(exponent) : "";
    const column_top = components.map((_, c) => largest(value.map((row) => row[c])));
    const starts =
        components.map((name, c) => c > 0 && layer_of(name) !== layer_of(components[c - 1]) ? " new-layer" : "");
    const cells = [];
    const body = probes.map(
        (probe, p) => h(
            "tr", {},
            h("th", {scope: "row"},
              h("button", {type: "button", "data-probe": probe, title: probe, onclick: () => choose({probe})}, probe)),
            components.map((component, c) => {
              const x = value[p][c], e = error[p][c], noise = known(x) && known(e) && Math.abs(x) < 2 * e;
              const shade = known(x) ? diverging(x, state.scale === "matrix" ? top : column_top[c]) : null;
              const item =
                  h("td", {
                    class: (noise ? "hatched" : "") + starts[c],
                    style: shade ? `background-color: ${shade.css}; color: ${shade.ink}` : "",
                    "aria-label": `${probe}, ${component}: ${with_error(x, e)}`,
                    onclick: () => choose(texts.has(probe) || !texts.size ? {component, probe} : {component}),
                    tip: () =>
                        [`${probe} \u2192 ${component}`, "\u03c7 = " + with_error(x, e),
                         noise                 ? "within two standard errors of zero" :
                             known(e) && e > 0 ? Math.abs(x / e).toFixed(1) + " standard errors from zero" :
                                                 "no standard error"]
                  },
                    known(x) ? fixed(x / unit, Math.abs(x / unit) >= 9.995 ? 1 : 2) : "\u2013");
              cells.push(item);
              return item;
            })));
    const longest = (names) => Math.max(...names.map((name) => name.length)), narrow = section.clientWidth < 900;
    const first = Math.min(220, Math.max(narrow ? 74 : 104, 8 * longest(probes) + 12)), least = C > 24 ? 15 : 40;
    const long = 7.4 * longest(components) + 4 > Math.max(least, (section.clientWidth - first) / C);
    const widths = [h("col", {style: `width: ${first}px`}), components.map(() => h("col"))];
    find(".body", section)
        .replaceChildren(
            h("table", {
              class: "heatmap" + (long ? " tall" : "") + (C > 24 ? " dense" : ""),
              style: `min-width: ${first + least * C}px`,
              role: "grid",
              "aria-label": "Response matrix, probes by components"
            },
              h("colgroup", {}, widths),
              h("thead", {},
                h("tr", {},
                  h("td", {class: "quiet", style: "height: auto; text-align: left; cursor: default"},
                    C > 24 ? "" : times),
                  components.map(
                      (component, c) =>
                          h("th", {scope: "col", class: starts[c]},
                            h("button", {
                              type: "button",
                              "data-component": component,
                              title: component,
                              onclick: () => choose({component})
                            },
                              component))))),
              h("tbody", {}, body)));
    rove(cells, C);
    const whole = state.scale === "matrix", end = fixed(top / unit, 2);
    find(".legend", section)
        .replaceChildren(
            h("span", {}, whole ? "\u03c7: \u2212" + end : "\u2212",
              h("span", {class: "bar", style: "background: " + gradient(diverging_ramp)}),
              whole ? `+${end} ${times}` : "+"),
            whole ? "" : h("span", {}, "ends of the scale: largest |\u03c7| of each component"),
            h("span", {}, h("span", {class: "swatch hatched"}), "|\u03c7| < 2 standard errors"));
  });
  draws(["component", "probe", "centring", "scale", "theme", "size"], () => {
    for (const button of section.querySelectorAll("[data-component]"))
      button.setAttribute("aria-pressed", button.dataset.component === state.component);
    for (const button of section.querySelectorAll("[data-probe]"))
      button.setAttribute("aria-pressed", button.dataset.probe === state.probe);
  });
}

/* ---- principal components ---- */
const shapes = [
  // a marker of half-width r at the origin, one shape a layer, of about equal area
  (r) => `M${- r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${- 2 * r} 0`,
  (r) => {
    const a = 0.9 * r;
    return `M${- a} ${- a}H${a}V${a}H${- a}Z`;
  },
  (r) => `M0 ${- 1.25 * r}L${1.15 * r} ${0.8 * r}H${- 1.15 * r}Z`,
  (r) => `M0 ${- 1.3 * r}L${1.3 * r} 0L0 ${1.3 * r}L${- 1.3 * r} 0Z`,
  (r) => {
    const a = 0.45 * r, b = 1.15 * r;
    return `M${- a} ${- b}h${2 * a}v${b - a}h${b - a}v${2 * a}h${a - b}v${b - a}h${- 2 * a}v${a - b}h${a - b}v${
        - 2 * a}h${b - a}Z`;
  },
];
const layers = [...new Set(components.map(layer_of))].filter((layer) => layer !== null).sort((a, b) => a - b);
const shape_of = (name) => shapes[Math.max(0, layers.indexOf(layer_of(name))) % shapes.length];
const induces = (name) => heads.has(name) && heads.get(name).induction;
/* The same head lights up in every figure of the section. */
function light(section, name) {
  for (const mark of section.querySelectorAll("[data-head]")) mark.classList.toggle("lit", mark.dataset.head === name);
}
const head_tip = (name, lines) => () =>
    [name, ...lines,
     ...(known(score_of(name)) ?
             ["prefix matching " + fixed(score_of(name), 2) + (induces(name) ? " \u00b7 induction" : "")] :
             [])];

function spectrum(width, part) {
  const count = Math.min(part.singular_values.length, 16), left = 84, height = 150,
        step = Math.min(96, (width - left) / count), top = largest(part.singular_values) || 1;
  const lists = [
    ["explained, %", list(part.explained).map((x) => percent(x).replace(" %", ""))],
    ["AUC-L1", list(part.auc_l1).map((x) => fixed(x, 2)), list(part.auc_l1)],
    ["AUC, all", list(part.auc).map((x) => fixed(x, 2)), list(part.auc)]
  ].filter(([, texts, numbers]) => texts.length && (!numbers || numbers.some(known)));
  const digits = Math.max(0, 3 - Math.ceil(Math.log10(top))), marks = [
    line(left, height, left + step * count, height, "zero"), text_at(0, 16, "start", "singular", {class: "quiet"}),
    text_at(0, 31, "start", "value", {class: "quiet"})
  ];
  lists.forEach(([name], row) => marks.push(text_at(0, height + 36 + 17 * row, "start", name, {class: "quiet"})));
  for (let k = 0; k !== count; ++k) {
    const x = left + step * k, y = height - (height - 26) * (part.singular_values[k] || 0) / top, middle = x + step / 2;
    marks.push(
        svg("rect", {
          x: x + step * 0.14,
          y,
          width: step * 0.72,
          height: Math.max(1, height - y),
          fill: style(k < 3 ? "--accent" : "--strong-line"),
          tip: () =>
              ["PC" + (k + 1), "singular value " + significant(part.singular_values[k]),
               "explains " + percent(part.explained[k])]
        }),
        text_at(
            middle, y - 5, "middle",
            top < 1e-3 || top > 1e5 ? significant(part.singular_values[k], 2) : fixed(part.singular_values[k], digits)),
        text_at(middle, height + 17, "middle", "PC" + (k + 1), {class: k < 3 ? "chosen" : ""}));
    lists.forEach(
        ([, texts], row) => marks.push(text_at(middle, height + 36 + 17 * row, "middle", texts[k], {class: "quiet"})));
  }
  return canvas(left + step * count, height + 26 + 17 * lists.length, "Singular values", ...marks);
}

function scatter(section, width, part, first) {
  const height = Math.round(Math.min(380, width * 0.74)), left = 46, right = width - 10, top = 10, bottom = height - 40;
  const X = part.loadings[first], Y = part.loadings[first + 1];
  /* Zero is shown when it is near the points, else the space goes to what tells them apart. */
  const range = (values) => {
    let low = Math.min(...values), high = Math.max(...values), span = high - low || Math.abs(high) || 1;
    if (low > 0 && low < 0.5 * span) low = 0;
    if (high < 0 && -high < 0.5 * span) high = 0;
    span = high - low || span;
    return [low - 0.1 * span, high + 0.1 * span];
  };
  const [x0, x1] = range(X), [y0, y1] = range(Y), px = (x) => left + (right - left) * (x - x0) / (x1 - x0),
             py = (y) => bottom - (bottom - top) * (y - y0) / (y1 - y0);
  const marks = [], tx = ticks(x0, x1, 6), ty = ticks(y0, y1, 6);
  for (const x of tx.values)
    marks.push(
        line(px(x), top, px(x), bottom, "grid"),
        text_at(px(x), bottom + 16, "middle", fixed(x, tx.digits), {class: "quiet"}));
  for (const y of ty.values)
    marks.push(
        line(left, py(y), right, py(y), "grid"),
        text_at(left - 6, py(y) + 4, "end", fixed(y, ty.digits), {class: "quiet"}));
  if (x0 < 0 && x1 > 0) marks.push(line(px(0), top, px(0), bottom, "zero"));
  if (y0 < 0 && y1 > 0) marks.push(line(left, py(0), right, py(0), "zero"));
  marks.push(
      text_at((left + right) / 2, height - 6, "middle", "PC" + (first + 1) + " loading"),
      svg("text", {transform: `translate(11 ${(top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle"},
          "PC" + (first + 2) + " loading"));
  /* Labels go to the first free place around their marker, farther away with a leader, or nowhere in a crowd. */
  const taken = components.map((_, c) => [px(X[c]) - 7, py(Y[c]) - 7, px(X[c]) + 7, py(Y[c]) + 7]);
  const overlap = (box) => taken.reduce(
                               (sum, other) => sum +
                                   Math.max(0, Math.min(box[2], other[2]) - Math.max(box[0], other[0])) *
                                       Math.max(0, Math.min(box[3], other[3]) - Math.max(box[1], other[1])),
                               0) +
      (box[0] < left || box[2] > right || box[1] < top || box[3] > bottom ? 1000 : 0);
  const gap = (box, c) =>
      Math.hypot(Math.max(box[0] - px(X[c]), 0, px(X[c]) - box[2]), Math.max(box[1] - py(Y[c]), 0, py(Y[c]) - box[3]));
  /* How many other markers a reader would rather take the label for. */
  const nearer = (box, c) => components.filter((_, other) => other !== c && gap(box, other) < gap(box, c) + 2).length;
  components.forEach((name, c) => {
    const label = shorten(name, 12), wide = 6.9 * label.length, x = px(X[c]), y = py(Y[c]);
    let best = null;
    for (const far of [10, 20, 32, 46])
      for (let turn = 0; turn !== 12 && !(best && best.cost === 0); ++turn) {
        const angle = turn * Math.PI / 6, cx = x + Math.cos(angle) * (far + wide / 2),
              cy = y - Math.sin(angle) * (far + 3);
        const box = [cx - wide / 2, cy - 7, cx + wide / 2, cy + 7], cost = overlap(box) + 40 * nearer(box, c);
        if (!best || cost < best.cost) best = {cost, cx, cy, box, far, angle};
      }
    if (best.cost > 0 && C > 40) return;
    taken.push(best.box);
    if (best.far > 10)
      marks.push(line(
          x + 6 * Math.cos(best.angle), y - 6 * Math.sin(best.angle), best.cx - Math.cos(best.angle) * wide / 2,
          best.cy + Math.sin(best.angle) * 6, "zero"));
    marks.push(text_at(
        best.cx, best.cy + 4, "middle", label,
        {class: name === state.component ? "chosen" : "", style: "pointer-events: none"}));
  });
  components.forEach((name, c) => marks.push(svg("path", {
    d: shape_of(name)(5.6),
    transform: `translate(${px(X[c])} ${py(Y[c])})`,
    fill: head_colour(name),
    stroke: style(induces(name) ? "--ink" : "--strong-line"),
    "stroke-width": induces(name) ? 1.8 : 1,
    "data-head": name,
    style: "cursor: pointer",
    onclick: () => choose({component: name}),
    onpointerenter: () => light(section, name),
    onpointerleave: () => light(section, null),
    tip: head_tip(name, [`PC${first + 1} ${fixed(X[c], 3)}, PC${first + 2} ${fixed(Y[c], 3)}`])
  })));
  return h(
      "figure", {style: "margin: 0"}, h("h3", {}, `PC${first + 1} and PC${first + 2}`),
      canvas(width, height, `Loadings on PC${first + 1} and PC${first + 2}`, ...marks));
}

function loadings(section, width, part, k) {
  const values = part.loadings[k], row = C > 24 ? 15 : 18, most = 40;
  /* Of many components the largest loadings are enough. */
  const order = components.map((_, c) => c)
                    .sort((a, b) => Math.abs(values[b]) - Math.abs(values[a]))
                    .slice(0, most)
                    .sort((a, b) => a - b);
  if (state.order === "loading") order.sort((a, b) => values[b] - values[a]);
  const left = Math.min(90, 12 + 7 * Math.max(...components.map((name) => name.length))), low = Math.min(0, ...values),
        high = Math.max(0, ...values);
  const room = 46, scale = (width - left - 2 * room) / (high - low || 1), zero = left + room - low * scale,
        marks = [line(zero, 0, zero, row * order.length, "zero")];
  order.forEach((c, i) => {
    const name = components[c], x = values[c], y = row * i, end = zero + x * scale;
    marks.push(
        text_at(0, y + row - 5, "start", shorten(name, 12), {class: name === state.component ? "chosen" : ""}),
        svg("rect", {
          x: Math.min(zero, end),
          y: y + 3,
          width: Math.max(1, Math.abs(end - zero)),
          height: row - 6,
          fill: head_colour(name),
          stroke: style(induces(name) ? "--ink" : "--strong-line"),
          "stroke-width": induces(name) ? 1.2 : 0.6,
          "data-head": name,
          style: "cursor: pointer",
          onclick: () => choose({component: name}),
          onpointerenter: () => light(section, name),
          onpointerleave: () => light(section, null),
          tip: head_tip(name, ["PC" + (k + 1) + " loading " + fixed(x, 3)])
        }),
        text_at(x < 0 ? end - 5 : end + 5, y + row - 5, x < 0 ? "end" : "start", fixed(x, 2), {class: "quiet"}));
  });
  const auc = list(part.auc_l1)[k];
  return h(
      "figure", {style: "margin: 0"},
      h("h3", {}, `PC${k + 1}`,
        h("span", {class: "quiet", style: "font-weight: 400"},
          ` \u00b7 ${percent(part.explained[k])}` + (known(auc) ? ` \u00b7 AUC-L1 ${fixed(auc, 2)}` : ""))),
      canvas(width, row * order.length, "Loadings of PC" + (k + 1), ...marks),
      C > most ? h("div", {class: "quiet"}, `the ${most} largest of ${C}`) : "");
}

function structure() {
  const found = ["tokens", "probes"].filter((name) => modes[name] && list(modes[name].loadings).length);
  if (!found.length) return;
  const section = show("structure");
  find(".controls", section)
      .append(
          ...(found.length > 1 ? [choice("Rows of the matrix", "rows", found.map((name) => [name, name]))] : []),
          choice("Order of loadings", "order", [["model", "as in the model"], ["loading", "by loading"]]));
  draws(["rows", "order", "component", "size", "theme"], () => {
    const part = modes[state.rows], full = section.clientWidth, count = part.loadings.length;
    const scored = heads.size > 0, aucs = list(part.auc_l1).some(known);
    find(".caption", section).textContent =
        `Singular value decomposition of the response matrix with one row a ${
            state.rows === "tokens" ? "token" : "probe"} (${data.centring} centring).` +
        (aucs ?
             " AUC-L1: how well the loadings of a principal component separate induction heads from the other heads " +
                 "of the second layer (0.5: not at all)." :
             "");
    find(".spectrum", section).replaceChildren(spectrum(full, part));
    const layer_mark = (name, layer) =>
        h("span", {},
          svg("svg", {width: 15, height: 15, viewBox: "-8 -8 16 16", "aria-hidden": true},
              svg("path", {d: shape_of(name)(5.2), fill: "none", stroke: style("--quiet"), "stroke-width": 1.4})),
          "layer " + layer);
    find(".legend", section)
        .replaceChildren(
            ...(scored ?
                    [
                      h("span", {}, "prefix matching 0",
                        h("span", {class: "bar", style: "background: " + gradient(sequential)}), fixed(top_score, 2)),
                      h("span", {}, h("span", {class: "swatch", style: `border: 2px solid ${style("--ink")}`}),
                        "induction head")
                    ] :
                    []),
            ...(layers.length > 1 && layers.length < 9 ?
                    layers.map((layer) => layer_mark(components.find((name) => layer_of(name) === layer), layer)) :
                    []));
    const two = full >= 700, wide = two ? (full - 32) / 2 : full,
          three = full >= 700 ? (full - 56) / 3 :
        full >= 460           ? (full - 28) / 2 :
                                full;
    find(".scatters", section)
        .replaceChildren(...[0, 1]
                             .filter((first) => first + 1 < count)
                             .map((first) => scatter(section, Math.floor(wide), part, first)));
    find(".loadings", section)
        .replaceChildren(
            ...[0, 1, 2].filter((k) => k < count).map((k) => loadings(section, Math.floor(three), part, k)));
  });
}

/* ---- traces ---- */
function traces() {
  const names =
      Object.keys(data.traces || {}).filter((name) => list(data.traces[name]).some((chain) => list(chain).length));
  if (!names.length) return;
  names.sort((a, b) => (components.indexOf(a) + 1 || 1e9) - (components.indexOf(b) + 1 || 1e9));
  const section = show("traces"),
        select =
            h("select", {
              onchange: (event) => choose(
                  components.includes(event.target.value) ? {component: event.target.value} :
                                                            {trace: event.target.value})
            },
              names.map((name) => h("option", {value: name}, name)));
  find(".controls", section).append(h("label", {}, h("span", {}, "Component"), select));
  draws(["trace", "size", "theme"], () => {
    const name = names.includes(state.trace) ? state.trace : names[0], chains = data.traces[name].map(list),
          all = chains.flat().filter(known), length = Math.max(...chains.map((chain) => chain.length));
    select.value = name;
    const width = section.clientWidth, height = 250, left = 58, right = width - 14, top = 10, bottom = height - 38;
    const low = Math.min(0, ...all), high = Math.max(...all, low + 1e-12), room = 0.04 * (high - low),
          px = (t) => left + (right - left) * (length > 1 ? t / (length - 1) : 0.5),
          py = (x) => bottom - (bottom - top) * (x - low) / (high + room - low);
    const ty = ticks(low, high, 5), tx = ticks(1, length, Math.max(2, Math.floor(width / 110))), marks = [];
    for (const y of ty.values)
      marks.push(
          line(left, py(y), right, py(y), y === 0 ? "zero" : "grid"),
          text_at(left - 7, py(y) + 4, "end", fixed(y, ty.digits), {class: "quiet"}));
    for (const t of tx.values.filter(Number.isInteger))
      marks.push(text_at(px(t - 1), bottom + 17, "middle", t, {class: "quiet"}));
    marks.push(
        text_at((left + right) / 2, height - 4, "middle", "draw after burn-in"),
        svg("text", {transform: `translate(12 ${(top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle"},
            "\u03c6 (nats)"));
    const shade = (i) => style("--chain" + i % 8);
    chains.forEach((chain, i) => {
      let path = "", pen = "M";
      chain.forEach((x, t) => {
        if (known(x)) {
          path += pen + px(t).toFixed(1) + " " + py(x).toFixed(1);
          pen = "L";
        } else
          pen = "M";
      });
      marks.push(svg("path", {
        d: path,
        fill: "none",
        stroke: shade(i),
        "stroke-width": 1.3,
        "stroke-linejoin": "round",
        "stroke-opacity": 0.85,
        "stroke-dasharray": i < 8 ? null : "4 2"
      }));
    });
    const row = list(data.diagnostics).find((entry) => entry.component === name), mean = row && row.mean_observable;
    if (known(mean))
      marks.push(svg("line", {
        x1: left,
        x2: right,
        y1: py(mean),
        y2: py(mean),
        stroke: style("--ink"),
        "stroke-width": 1.3,
        "stroke-dasharray": "6 4"
      }));
    const cursor = svg("line", {x1: left, x2: left, y1: top, y2: bottom, class: "zero", visibility: "hidden"});
    const sheet = svg("rect", {
      x: left,
      y: top,
      width: right - left,
      height: bottom - top,
      fill: "transparent",
      onpointermove: (event) => tell(event),
      onpointerout: () => cursor.setAttribute("visibility", "hidden"),
      tip: (event) => {
        const t = Math.max(
            0,
            Math.min(
                length - 1,
                Math.round((event.clientX - sheet.getBoundingClientRect().left) / (right - left) * (length - 1))));
        for (const [key, value] of [["x1", px(t)], ["x2", px(t)], ["visibility", "visible"]])
          cursor.setAttribute(key, value);
        return ["draw " + (t + 1), ...chains.map((chain, i) => `chain ${i + 1}: ${significant(chain[t])}`)];
      }
    });
    sheet.tip_at_pointer = true;
    find(".body", section).replaceChildren(canvas(width, height, "Traces of " + name, ...marks, cursor, sheet));
    const key = (colour, dash) =>
        svg("svg", {width: 24, height: 10, "aria-hidden": true},
            svg("line", {x1: 0, x2: 24, y1: 5, y2: 5, stroke: colour, "stroke-width": 2, "stroke-dasharray": dash}));
    find(".legend", section)
        .replaceChildren(
            ...chains.map((_, i) => h("span", {}, key(shade(i), i < 8 ? null : "4 2"), "chain " + (i + 1))),
            ...(known(mean) ? [h("span", {}, key(style("--ink"), "6 4"),
                                 "E[\u03c6] = " + with_error(mean, row.mean_observable_error))] :
                              []));
  });
}
)js";
// clang-format on

}  // namespace susc::detail
