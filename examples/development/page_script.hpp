#pragma once
// The markup and the script of a development's page. Style, numbers, colours and elements are those of the library's
// report (susc/report/page.hpp, page_script.hpp), whose style and script come first.
#include <string_view>

namespace development {

// clang-format off
inline constexpr std::string_view page_markup = R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>@title@</title>
<style>@style@
#bar { position: sticky; top: 0; z-index: 5; display: flex; flex-wrap: wrap; align-items: center; gap: 8px 26px; margin-top: 22px; padding: 10px 0; background: var(--surface); border-bottom: 1px solid var(--line); font-size: 13px; }
#bar label { display: inline-flex; align-items: center; gap: 8px; }
#bar .slide { flex: 1 1 420px; }
#bar input[type=range] { flex: 1; accent-color: var(--pos2); }
#bar output { min-width: 15ch; font-variant-numeric: tabular-nums; }
#bar + section { border-top: 0; margin-top: 0; padding-top: 22px; }
section { scroll-margin-top: 56px; }
.charts { display: grid; gap: 22px 30px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 330px), 1fr)); }
.charts > * { min-width: 0; }
.charts .legend { gap: 0 14px; margin: 2px 0 0; }
figure { margin: 0; }
h3 .quiet { font-weight: 400; }
svg .here { stroke: var(--pos2); stroke-width: 1.2; stroke-dasharray: 3 3; }
svg .sheet { fill: transparent; cursor: pointer; }
#scatter-and-loadings { display: grid; gap: 20px 32px; grid-template-columns: minmax(0, 1.15fr) minmax(0, 1fr); }
#scatter-and-loadings .thirds { margin: 0; gap: 16px; grid-template-columns: repeat(3, minmax(0, 1fr)); }
@media (max-width: 900px) { #scatter-and-loadings { grid-template-columns: minmax(0, 1fr); } }
@media print { #bar { position: static; } }
</style>
</head>
<body>
<header>
  <h1 id="title"></h1>
  <p id="settings"></p>
  <p class="caption" style="margin: 12px 0 0">Every checkpoint is sampled with the same settings and the same probes; the
    localization, @localization@.</p>
  <div id="warnings" class="quiet" role="note"></div>
  <noscript><p>This page draws its figures with JavaScript; the data is embedded in its source as JSON.</p></noscript>
</header>
<main>
  <div id="bar"></div>
  <section id="over-training">
    <h2>Over training</h2>
    <p class="caption">Against the steps taken, on a logarithmic axis that begins with the initial weights. Bands: one standard
      error of the sampling. Where the weights are no minimum of the loss, as early on, nβ (E[L] − L(w*)) may be negative and is
      no learning coefficient. A click chooses the checkpoint.</p>
    <div class="charts"></div>
    <div class="legend"></div>
  </section>
  <section id="matrix">
    <h2>Response matrix <span class="quiet at"></span></h2>
    <p class="caption">χ = −Cov[φ, ΔL]: positive (orange) where more weight on the probe raises the component's loss. Hatched
      cells lie within two standard errors of zero. A click chooses the component.</p>
    <div class="scroll body"></div>
    <div class="legend"></div>
  </section>
  <section id="modes">
    <h2>Principal components <span class="quiet at"></span></h2>
    <p class="caption">Of the susceptibilities of the probes' tokens. Those of each checkpoint are matched, with their signs, to
      those of the next, going back from the last, whose order they have: PC1 is what becomes the first in the end, not the
      largest at its step. Early on the matching may have little to go by: see “change to the next” above.</p>
    <div id="scatter-and-loadings"><div class="scatter"></div><div class="thirds loadings"></div></div>
    <div class="legend"></div>
  </section>
  <section id="said">
    <h2>Warnings <span class="quiet at"></span></h2>
    <div class="body" style="font-size: 14px"></div>
  </section>
</main>
<footer><p id="versions"></p></footer>
<div id="tip" role="status" hidden></div>
<script type="application/json" id="data">@data@</script>
<script type="module">@script@</script>
</body>
</html>
)html";

/// Header, the bar with the slider, and the charts against the step.
inline constexpr std::string_view page_charts = R"js(
/* ---- header and bar ---- */
const steps = data.steps, T = steps.length;
state.at = Math.max(0, saved.has("step") ? steps.indexOf(+saved.get("step")) : T - 1);
state.range = "all";
function go(at) {
  choose({at: Math.max(0, Math.min(T - 1, at))});
  try {
    history.replaceState(null, "", location.hash + "&step=" + steps[state.at]);
  } catch (error) { /* the address of a local file may be read-only */
  }
}
function header() {
  find("#title").textContent = data.title;
  const said = (value) => typeof value === "number" ?
      (Number.isInteger(value) ? String(value) : minus(String(+value.toPrecision(6)))) :
      String(value);
  for (const name of ["settings", "versions"])
    find("#" + name).append(
        ...Object.entries(data[name])
            .flatMap(([key, value], i) => [i ? " \u00b7 " : "", h("span", {class: said(value).length > 40 ? "" : "pair"},
                                                                 h("b", {}, key.replaceAll("_", " ") + " "), said(value))]));
  const count = data.warnings.length;
  find("#warnings").textContent = count ?
      `Diagnostics gave ${count} warnings in all; those of a checkpoint are at the end of the page.` :
      "Diagnostics gave no warnings.";
}
function bar() {
  const slider = h("input", {
          type: "range", min: 0, max: T - 1, step: 1, "aria-label": "checkpoint",
          oninput: (event) => go(+event.target.value)
        }),
        output = h("output", {}),
        select = h("select", {onchange: (event) => choose({component: event.target.value})},
                   components.map((name) => h("option", {value: name}, name)));
  find("#bar").append(
      h("label", {class: "slide"}, h("span", {}, "Checkpoint"), slider, output),
      h("label", {}, h("span", {}, "Component"), select),
      choice("Scales", "range", [["all", "of all checkpoints"], ["this", "of this one"]]));
  draws(["at"], () => {
    slider.value = state.at;
    output.textContent = `step ${steps[state.at]} (${state.at + 1} of ${T})`;
    slider.setAttribute("aria-valuetext", "step " + steps[state.at]);
    for (const element of document.querySelectorAll("h2 .at")) element.textContent = "at step " + steps[state.at];
  });
  draws(["component"], () => {
    select.value = state.component;
  });
}

/* ---- charts ---- */
const probe_colour = (p) => style("--chain" + p % 8);
/* Places on the axis; the initial weights stand a third of a decade before step 1. */
const place = steps.map((s) => s > 0 ? Math.log10(s) : -0.35);
const cursors = [];
function chart(width, {title, note, series, named, from_zero, to_one, powers}) {
  /* On an axis of powers of ten what is not above zero has no place. */
  const on_axis = (x) => powers ? known(x) && x > 0 ? Math.log10(x) : null : x;
  const height = Math.round(width * 0.62), left = 50, right = width - 10, top = 8, bottom = height - 36;
  const known_errors = (s, t) => s.errors && known(s.errors[t]) ? s.errors[t] : 0;
  const ends = series.flatMap(
      (s) => s.values.map(on_axis).flatMap(
          (x, t) => known(x) ? [x - known_errors(s, t), x + known_errors(s, t)] : []));
  let low = Math.min(...ends, ...(from_zero ? [0] : [])), high = Math.max(...ends, ...(to_one ? [1] : []));
  if (!isFinite(low) || !isFinite(high)) low = 0, high = 1;
  if (!to_one) high += 0.04 * (high - low || 1);
  if (low < 0 || !from_zero) low -= 0.04 * (high - low);
  const p0 = place[0], p1 = place[T - 1], px = (t) => left + 6 + (right - left - 12) * (place[t] - p0) / (p1 - p0 || 1),
        py = (x) => bottom - (bottom - top) * (x - low) / (high - low);
  const marks = [], ty = powers ? {values: ticks(low, high, 5).values.filter(Number.isInteger), digits: 0} : ticks(low, high, 5);
  const label = (y) => powers ? power(y) : Math.abs(y) >= 1e4 || (y && ty.digits > 4) ? significant(y, 2) : fixed(y, ty.digits);
  for (const y of ty.values)
    marks.push(line(left, py(y), right, py(y), Math.abs(y) < 1e-12 && !powers ? "zero" : "grid"),
               text_at(left - 6, py(y) + 4, "end", label(y), {class: "quiet"}));
  let last = -100;
  for (const s of [0, 1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7]) {
    const x = s === 0 ? px(0) : left + 6 + (right - left - 12) * (Math.log10(s) - p0) / (p1 - p0 || 1);
    if (x > right - 4 || x - last < 14) continue;
    marks.push(line(x, bottom, x, bottom + 4, "zero"),
               text_at(x, bottom + 17, "middle", s < 1e4 ? s : power(Math.round(Math.log10(s))), {class: "quiet"}));
    last = x;
  }
  marks.push(text_at((left + right) / 2, height - 3, "middle", "step"));
  for (const s of [...series].sort((a, b) => (a.chosen || 0) - (b.chosen || 0))) {
    const runs = [[]], shown = s.values.map(on_axis);
    shown.forEach((x, t) => known(x) ? runs.at(-1).push(t) : runs.push([]));
    for (const run of runs.filter((some) => some.length)) {
      const at = (t, x) => px(t).toFixed(1) + " " + py(x).toFixed(1);
      if (s.errors)
        marks.push(svg("path", {
          d: "M" + run.map((t) => at(t, shown[t] + known_errors(s, t))).join("L") + "L" +
              [...run].reverse().map((t) => at(t, shown[t] - known_errors(s, t))).join("L") + "Z",
          fill: s.colour, "fill-opacity": s.chosen ? 0.3 : 0.13
        }));
      marks.push(svg("path", {
        d: "M" + run.map((t) => at(t, shown[t])).join("L"), fill: "none", stroke: s.colour,
        "stroke-width": s.chosen ? 2.6 : 1.4, "stroke-linejoin": "round", "stroke-dasharray": s.dash
      }));
      if (s.chosen || series.length < 3)
        for (const t of run) marks.push(svg("circle", {cx: px(t), cy: py(shown[t]), r: 2.2, fill: s.colour}));
    }
  }
  const cursor = svg("line", {y1: top, y2: bottom, class: "here"});
  cursors.push({cursor, px});
  const sheet = svg("rect", {
    x: left, y: top, width: right - left, height: bottom - top, class: "sheet",
    onclick: (event) => go(nearest(event)),
    onpointermove: (event) => tell(event),
    tip: (event) => {
      const t = nearest(event);
      const rows = series.filter((s) => known(s.values[t]))
                       .sort((a, b) => (b.chosen || 0) - (a.chosen || 0) || b.values[t] - a.values[t]);
      return [`${title}, step ${steps[t]}`,
              ...rows.slice(0, 8).map((s) => `${s.name}: ${with_error(s.values[t], s.errors && s.errors[t])}`),
              rows.length > 8 ? `and ${rows.length - 8} more` : ""];
    }
  });
  function nearest(event) {
    const x = event.clientX - sheet.getBoundingClientRect().left + left;
    return steps.map((_, t) => t).reduce((best, t) => Math.abs(px(t) - x) < Math.abs(px(best) - x) ? t : best, 0);
  }
  sheet.tip_at_pointer = true;
  return h("figure", {}, h("h3", {}, title, h("span", {class: "quiet"}, note ? " \u00b7 " + note : "")),
           canvas(width, height, title + " against the step", ...marks, cursor, sheet),
           named ? h("div", {class: "legend"}, series.map((s) => key(s.colour, s.name, s.dash, s.chosen))) : "");
}
const key = (colour, text, dash, thick) => h(
    "span", {},
    svg("svg", {width: 18, height: 10, "aria-hidden": true},
        svg("line", {x1: 0, x2: 18, y1: 5, y2: 5, stroke: colour, "stroke-width": thick ? 3 : 2, "stroke-dasharray": dash})),
    text);
/* Of lines, which a light colour would hide. */
const line_ramp = () => ramp(["--strong-line", "--middle", "--high"]);
const column = (rows, c) => rows.map((row) => row[c]);
function charts() {
  const section = find("#over-training");
  const follow = () => {
    for (const {cursor, px} of cursors)
      for (const end of ["x1", "x2"]) cursor.setAttribute(end, px(state.at));
  };
  draws(["component", "size", "theme"], () => {
    const c = components.indexOf(state.component), chosen_colour = style("--pos2"), ink = style("--ink"), shade = line_ramp();
    const room = section.clientWidth, across = Math.max(1, Math.floor((room + 30) / 360)),
          width = Math.floor((room - 30 * (across - 1)) / across);
    const of_components = (value, error, names) => names.map((name, i) => ({
      name, values: column(value, i), errors: error && column(error, i), chosen: name === state.component,
      colour: name === state.component ? chosen_colour : shade((score_of(name) || 0) / top_score).css
    }));
    const names = list(data.heads).map((head) => head.name), chi = data.susceptibilities;
    const of_probes = (value, error) => probes.map((name, p) => ({
      name, values: value(p), errors: error && error(p), colour: probe_colour(p)
    }));
    const modes_shown = Math.min(6, data.singular_values[0].length);
    cursors.length = 0;
    find(".charts", section).replaceChildren(
        chart(width, {title: "Loss of each probe", note: "nats a token", named: true,
                      series: of_probes((p) => column(data.losses, p))}),
        chart(width, {title: "LLC of each component", series: of_components(data.llc.value, data.llc.error, components)}),
        chart(width, {title: "LLC of all weights", series: [{
                        name: "all weights", values: data.llc_all_weights.value, errors: data.llc_all_weights.error,
                        colour: ink}]}),
        chart(width, {title: "Prefix matching", from_zero: true,
                      series: of_components(data.prefix_matching, null, names)}),
        chart(width, {title: "Previous token", from_zero: true, series: of_components(data.previous_token, null, names)}),
        chart(width, {title: "\u03c7 of " + state.component, note: "to each probe", named: true,
                      series: of_probes((p) => chi.value.map((at) => at[p][c]), (p) => chi.error.map((at) => at[p][c]))}),
        chart(width, {title: "Singular values", note: "aligned", named: true, from_zero: true,
                      series: Array.from({length: modes_shown}, (_, k) => ({
                        name: "PC" + (k + 1), values: column(data.singular_values, k), chosen: k === 0,
                        colour: probe_colour(k)}))}),
        chart(width, {title: "Deviation of \u03c7 over tokens", powers: true,
                      series: of_components(data.deviation_over_tokens, null, components)}),
        chart(width, {title: "Change to the next", note: "share unexplained by", named: true, from_zero: true, to_one: true,
                      series: [{name: "matching of components", values: data.matching_residual, colour: ink},
                               {name: "rotation of all", values: data.rotation_residual, colour: style("--quiet"), dash: "5 3"}]}));
    find(":scope > .legend", section).replaceChildren(
        key(chosen_colour, state.component, null, true),
        h("span", {}, "other components, by prefix matching at the end: 0",
          h("span", {class: "bar", style: "background: " + gradient(shade)}), fixed(top_score, 2)));
    follow();
  });
  draws(["at"], follow);
}
)js";

/// What the slider turns: response matrix, modes, warnings; and the lines that draw the page.
inline constexpr std::string_view page_pictures = R"js(
/* ---- response matrix ---- */
function matrix() {
  const section = find("#matrix"), all = data.susceptibilities;
  const whole = largest(all.value.flat(2));
  draws(["at", "range", "component", "theme"], () => {
    const value = all.value[state.at], error = all.error[state.at],
          limit = state.range === "all" ? whole : largest(value.flat());
    /* Colours compare checkpoints; numbers have a power of ten of their own. */
    const top = largest(value.flat()), decade = top > 0 ? Math.floor(Math.log10(top)) : 0, exponent = Math.abs(decade) < 2 ? 0 : decade,
          unit = 10 ** exponent, times = exponent ? "\u00d7 " + power(exponent) : "";
    const starts = components.map((name, c) => c > 0 && layer_of(name) !== layer_of(components[c - 1]) ? " new-layer" : "");
    const kind = C > 30 ? "heatmap dense tall" : C > 20 || components.some((name) => name.length > 6) ? "heatmap tall" : "heatmap";
    find(".body", section).replaceChildren(h(
        "table", {class: kind},
        h("colgroup", {}, h("col", {style: "width: 104px"}), components.map(() => h("col", {}))),
        h("thead", {}, h("tr", {}, h("td", {}), components.map((name, c) => h(
            "th", {scope: "col", class: starts[c].trim()},
            h("button", {type: "button", "aria-pressed": String(name === state.component), title: name,
                         onclick: () => choose({component: name})}, name))))),
        h("tbody", {}, probes.map((probe, p) => h(
            "tr", {}, h("th", {scope: "row", style: "text-align: left; font-size: 13px"}, shorten(probe, 14)),
            components.map((name, c) => {
              const x = value[p][c], e = error[p][c], noise = known(x) && known(e) && Math.abs(x) < 2 * e;
              const shade = known(x) ? diverging(x, limit) : null;
              return h("td", {
                class: (noise ? "hatched" : "") + starts[c],
                style: shade ? `background-color: ${shade.css}; color: ${shade.ink}` : "",
                onclick: () => choose({component: name}),
                tip: () => [`${name}, ${probe}, step ${steps[state.at]}`, "\u03c7 = " + with_error(x, e),
                            noise ? "within two standard errors of zero" : ""]
              }, known(x) ? fixed(x / unit, 1) : "\u2013");
            }))))));
    find(".legend", section).replaceChildren(
        h("span", {}, "\u03c7 " + minus("-" + significant(limit, 2)),
          h("span", {class: "bar", style: "background: " + gradient(diverging_ramp)}), "+" + significant(limit, 2)),
        times ? h("span", {}, "numbers " + times) : "",
        h("span", {}, h("span", {class: "swatch hatched"}), "|\u03c7| < 2 SE"));
  });
}

/* ---- modes ---- */
function padded(values, symmetric) {
  let low = Math.min(...values), high = Math.max(...values);
  if (symmetric) high = Math.max(high, -low), low = -high;
  const room = 0.05 * (high - low || 1);
  return [low - room, high + room];
}
function scatter(width) {
  const height = Math.round(width * 0.82), left = 46, right = width - 8, top = 8, bottom = height - 40;
  const tokens = data.tokens, used = state.range === "all" ? tokens.scores : [tokens.scores[state.at]];
  const [X, Y] = tokens.scores[state.at], all = (k) => used.flatMap((at) => at[k]).filter(known);
  if (!Y) return h("p", {class: "quiet"}, "There is one principal component only.");
  if (!all(0).length || !X.some(known)) return h("p", {class: "quiet"}, "No estimates at this checkpoint.");
  const [x0, x1] = padded(all(0)), [y0, y1] = padded(all(1));
  const px = (x) => left + (right - left) * (x - x0) / (x1 - x0), py = (y) => bottom - (bottom - top) * (y - y0) / (y1 - y0);
  const marks = [], tx = ticks(x0, x1, 6), ty = ticks(y0, y1, 6);
  for (const x of tx.values)
    marks.push(line(px(x), top, px(x), bottom, x === 0 ? "zero" : "grid"),
               text_at(px(x), bottom + 16, "middle", fixed(x, tx.digits), {class: "quiet"}));
  for (const y of ty.values)
    marks.push(line(left, py(y), right, py(y), y === 0 ? "zero" : "grid"),
               text_at(left - 6, py(y) + 4, "end", fixed(y, ty.digits), {class: "quiet"}));
  marks.push(text_at((left + right) / 2, height - 6, "middle", "score on PC1"),
             svg("text", {transform: `translate(11 ${(top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle"}, "score on PC2"));
  X.forEach((x, i) => {
    if (!known(x) || !known(Y[i])) return;
    const p = tokens.probe[i], [before, token] = tokens.text[i];
    marks.push(svg("circle", {
      cx: px(x).toFixed(1), cy: py(Y[i]).toFixed(1), r: 2.6, fill: probe_colour(p), "fill-opacity": 0.62,
      tip: () => [JSON.stringify(token), "after " + JSON.stringify(before), "probe " + probes[p],
                  `PC1 ${fixed(x, 2)}, PC2 ${fixed(Y[i], 2)}`]
    }));
  });
  return h("figure", {}, h("h3", {}, "Tokens on the first two"),
           canvas(width, height, "Scores of tokens on PC1 and PC2 at step " + steps[state.at], ...marks));
}
function loadings(width, k) {
  const values = data.loadings[state.at][k];
  if (!values.some(known)) return null;
  const row = C > 24 ? 15 : 20, left = Math.min(70, 12 + 7 * Math.max(...components.map((name) => name.length)));
  const used = (state.range === "all" ? data.loadings : [data.loadings[state.at]]).flatMap((at) => at[k]).filter(known);
  const low = Math.min(0, ...used), high = Math.max(0, ...used), scale = (width - left - 6) / (high - low || 1),
        zero = left - low * scale;
  const marks = [line(zero, 0, zero, row * C, "zero")];
  components.forEach((name, c) => {
    const x = values[c], end = zero + x * scale;
    marks.push(text_at(0, row * c + row - 6, "start", shorten(name, 9), {class: name === state.component ? "chosen" : ""}),
               svg("rect", {
                 x: Math.min(zero, end), y: row * c + 3, width: Math.max(1, Math.abs(end - zero)), height: row - 6,
                 fill: name === state.component ? style("--pos2") : head_colour(name), stroke: style("--strong-line"),
                 "stroke-width": 0.6, style: "cursor: pointer", onclick: () => choose({component: name}),
                 tip: () => [name, `PC${k + 1} loading ${fixed(x, 3)}`,
                             known(score_of(name)) ? `prefix matching at the end ${fixed(score_of(name), 2)}` : ""]
               }));
  });
  return h("figure", {}, h("h3", {}, `PC${k + 1}`, h("span", {class: "quiet"}, " \u00b7 " + percent(data.explained[state.at][k]))),
           canvas(width, row * C, `Loadings of PC${k + 1} at step ${steps[state.at]}`, ...marks));
}
function mode_pictures() {
  const section = find("#modes");
  draws(["at", "range", "component", "size", "theme"], () => {
    const full = section.clientWidth, two = innerWidth > 900, half = two ? Math.floor((full - 32) * 1.15 / 2.15) : full,
          third = Math.floor(((two ? full - 32 - half : full) - 32) / 3);
    find(".scatter", section).replaceChildren(scatter(half));
    find(".loadings", section).replaceChildren(
        ...[0, 1, 2].filter((k) => k < data.loadings[state.at].length).map((k) => loadings(third, k)).filter((x) => x));
    find(".legend", section).replaceChildren(...probes.map((name, p) => h(
        "span", {}, svg("svg", {width: 10, height: 10, "aria-hidden": true}, svg("circle", {cx: 5, cy: 5, r: 4, fill: probe_colour(p)})), name)));
  });
}

/* ---- warnings ---- */
function warnings() {
  draws(["at"], () => {
    const here = data.warnings.filter((warning) => warning.step === steps[state.at]);
    find("#said .body").replaceChildren(
        here.length ? h("details", {}, h("summary", {}, here.length === 1 ? "1 warning" : here.length + " warnings"),
                        h("ul", {style: "margin: 4px 0 0; padding-left: 18px"}, here.map(({text}) => h("li", {}, text)))) :
                      h("p", {class: "quiet"}, "None."));
  });
}

/* ---- the page ---- */
for (const draw of [header, bar, charts, matrix, mode_pictures, warnings]) draw();
let shown_width = innerWidth, pending = false;
addEventListener("resize", () => {
  if (innerWidth === shown_width || pending) return;
  pending = true;
  requestAnimationFrame(() => {
    pending = false;
    shown_width = innerWidth;
    redraw("size");
  });
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  paint();
  redraw("theme");
});
)js";
// clang-format on

}  // namespace development
