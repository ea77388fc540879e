#pragma once
/// The script of the HTML report, part 3 of 4: the map of the tokens and the table of their clusters. Over 300 lines
/// because the map is drawn, pointed at, dragged and walked over by keys in plain JavaScript.
#include <string_view>

#include "susc/core/requirements.hpp"

namespace susc::detail {

// clang-format off
inline constexpr std::string_view report_map = R"js(
/* ---- token map ---- */
/* axis_x, axis_y: which axes; cluster: chosen in the table; point: chosen on the map; view: what of the axes is seen.
 */
Object.assign(state, {axis_x: 0, axis_y: 1, tint: "probe", cluster: null, point: null, view: null, every: false});

/* Colours for names without an order: eight that are told apart, then hues far from the last ones. */
function category(i) {
  if (i < 8) return style("--chain" + i);
  const dark = matchMedia("(prefers-color-scheme: dark)").matches, hue = 2.4 * i, chroma = i % 2 ? 0.13 : 0.08;
  return colour([dark ? 0.76 : 0.56, chroma * Math.cos(hue), chroma * Math.sin(hue)]).css;
}
const thousands = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");
const one_line = (text) => visible(text).flat().filter((part) => part !== "\n");
const passage = (number, before, token, after, tip) =>
    h("div", {class: "passage scored", "data-number": number, style: number ? "" : "padding-left: 0"},
      h("span", {class: "quiet"}, one_line(before)), h("span", {class: "token found", tip}, one_line(token)),
      h("span", {class: "quiet"}, one_line(after)));

const map_data = data.token_map || null, map_size = map_data ? map_data.row.length : 0,
      clusters = data.clusters ? list(data.clusters.found) : [];
const cluster_name = (c) => c < 0 ? "in no cluster" : "cluster " + (c + 1);
/* A point of the map as what it stands for. */
function token_at(point) {
  const sequence = map_data.sequences[map_data.sequence[point]], at = map_data.position[point];
  const text = (from, to) => sequence.tokens.slice(Math.max(0, from), to).map((k) => map_data.pieces[k]).join("");
  return {
    probe: sequence.probe,
    cluster: map_data.cluster[point],
    before: text(at - 16, at),
    token: text(at, at + 1),
    after: text(at + 1, at + 9),
    near: text(at - 8, at + 5)
  };
}
const place_of = (point) => [state.axis_x, state.axis_y].map((axis) => map_data.axes[axis].values[point]);
const spell_place = (point) => [state.axis_x, state.axis_y]
                                   .map((axis, i) => `${map_data.axes[axis].name} ${fixed(place_of(point)[i], 2)}`)
                                   .join(", ");

/* The part of each axis that holds all but a fraction of the tokens at either end, with some room. */
function view_of_all_but(fraction) {
  const range = (values) => {
    const sorted = values.filter(known).sort((a, b) => a - b), last = sorted.length - 1;
    let low = sorted[Math.floor(fraction * last)] ?? 0, high = sorted[Math.ceil((1 - fraction) * last)] ?? 0;
    if (low === high) [low, high] = [low - 1, high + 1];
    const room = (fraction ? 0.15 : 0.04) * (high - low);
    return [low - room, high + room];
  };
  return [...range(map_data.axes[state.axis_x].values), ...range(map_data.axes[state.axis_y].values)];
}
/* Without a choice: few tokens far out would leave no room for all others. */
let first_view = [], first_of = "";
function seen() {
  const of = state.axis_x + " " + state.axis_y;
  if (of !== first_of) [first_view, first_of] = [view_of_all_but(0.005), of];
  return state.view || first_view;
}
/* Not part of the address, which would change with each move. */
function look(view) {
  state.view = view;
  redraw("view");
}
/* `times` closer, around a place. */
function zoom(times, [x, y]) {
  const [x0, x1, y0, y1] = seen();
  look([x + (x0 - x) / times, x + (x1 - x) / times, y + (y0 - y) / times, y + (y1 - y) / times]);
}

function token_map() {
  if (!map_size || map_data.axes.length < 2) return;
  const section = show("map"),
        sheet = h("canvas", {
          tabindex: 0,
          role: "application",
          "aria-label":
              `Map of ${map_size} tokens. Arrow keys go from token to token, Enter chooses the token's cluster, ` +
              "plus and minus zoom, 0 goes back, Escape chooses nothing."
        });
  const axis = (label, key) => {
    const select =
        h("select", {onchange: (event) => choose({[key]: +event.target.value, view: null})},
          map_data.axes.map(({name}, i) => h("option", {value: i}, name)));
    draws([key], () => select.value = state[key]);
    return h("label", {}, h("span", {}, label), select);
  };
  const button = (text, name, act) =>
      h("button", {type: "button", "aria-label": name, title: name, onclick: act}, text);
  const middle = () => {
    const [x0, x1, y0, y1] = seen();
    return state.point === null ? [(x0 + x1) / 2, (y0 + y1) / 2] : place_of(state.point);
  };
  find(".controls", section)
      .append(
          axis("Across", "axis_x"), axis("Up", "axis_y"),
          clusters.length ? choice("Colour", "tint", [["probe", "probe"], ["cluster", "cluster"]]) : "",
          h("div", {class: "choice", role: "group", "aria-label": "Zoom"}, h("span", {}, "Zoom"),
            button("+", "Closer", () => zoom(1.6, middle())),
            button("\u2212", "Farther", () => zoom(1 / 1.6, middle())),
            button("all", "Show all", () => look(view_of_all_but(0)))));
  find(".caption", section).textContent =
      (map_size < map_data.rows ? `${thousands(map_size)} of ${thousands(map_data.rows)} tokens, drawn at random` :
                                  `${thousands(map_size)} tokens`) +
      ", each a point, on two axes; scores on principal components are in standard deviations. Choose a point to read " +
      "the token; drag to move the map.";
  find(".sheet", section).append(sheet);

  /* All points, those of a probe not together: none lies on top of all others. */
  const order = Array.from({length: map_size}, (_, i) => i), place_in = (i) => (i * 0.6180339887) % 1;
  order.sort((a, b) => place_in(a) - place_in(b));
  let px, py, width, height;
  const shown = (point) => {
    const [x0, x1, y0, y1] = seen(), [x, y] = place_of(point);
    return x >= x0 && x <= x1 && y >= y0 && y <= y1;
  };
  const left = 40, top = 8, below = 34;
  draws(["axis_x", "axis_y", "view", "tint", "cluster", "point", "size", "theme"], () => {
    width = find(".sheet", section).clientWidth;
    height = Math.round(Math.min(560, Math.max(320, 0.8 * width)));
    const scale = devicePixelRatio || 1, ink = style("--ink"), grid = style("--line"), quiet = style("--quiet"),
          surface = style("--surface");
    sheet.width = Math.round(width * scale);
    sheet.height = Math.round(height * scale);
    sheet.style.cssText = `width: ${width}px; height: ${height}px`;
    const pen = sheet.getContext("2d");
    pen.scale(scale, scale);
    const [x0, x1, y0, y1] = seen(), right = width - 6, bottom = height - below;
    px = (x) => left + (right - left) * (x - x0) / (x1 - x0);
    py = (y) => bottom - (bottom - top) * (y - y0) / (y1 - y0);
    pen.font = "11.5px " + style("--sans");
    pen.lineWidth = 1;
    const rule = (a, b, c, d, shade) => {
      pen.strokeStyle = shade;
      pen.beginPath();
      pen.moveTo(Math.round(a) + 0.5, Math.round(b) + 0.5);
      pen.lineTo(Math.round(c) + 0.5, Math.round(d) + 0.5);
      pen.stroke();
    };
    const tx = ticks(x0, x1, 7), ty = ticks(y0, y1, 7), zero = style("--strong-line");
    pen.fillStyle = quiet;
    pen.textAlign = "center";
    for (const x of tx.values) {
      rule(px(x), top, px(x), bottom, Math.abs(x) < 1e-9 ? zero : grid);
      pen.fillText(fixed(x, tx.digits), px(x), bottom + 15);
    }
    pen.textAlign = "right";
    for (const y of ty.values) {
      rule(left, py(y), right, py(y), Math.abs(y) < 1e-9 ? zero : grid);
      pen.fillText(fixed(y, ty.digits), left - 5, py(y) + 4);
    }
    pen.fillStyle = ink;
    pen.textAlign = "center";
    pen.fillText(map_data.axes[state.axis_x].name, (left + right) / 2, height - 4);
    pen.save();
    pen.translate(9, (top + bottom) / 2);
    pen.rotate(-Math.PI / 2);
    pen.fillText(map_data.axes[state.axis_y].name, 0, 0);
    pen.restore();

    /* One dot a colour, drawn once and copied: fast enough for tens of thousands. */
    const radius = (map_size > 20000 ? 1.5 : map_size > 5000 ? 2 : 2.7) * (state.view ? 1.25 : 1), dots = new Map();
    const dot = (shade) => {
      if (!dots.has(shade)) {
        const size = Math.ceil(2 * radius * scale) + 2, made = h("canvas", {width: size, height: size}),
              brush = made.getContext("2d");
        brush.fillStyle = shade;
        brush.arc(size / 2, size / 2, radius * scale, 0, 7);
        brush.fill();
        dots.set(shade, made);
      }
      return dots.get(shade);
    };
    const of_probe = probes.map((_, p) => category(p)), of_cluster = clusters.map((_, c) => category(c));
    pen.save();
    pen.beginPath();
    pen.rect(left, top, right - left, bottom - top);
    pen.clip();
    /* What stands out is drawn last. */
    const faint = (c) => state.cluster !== null ? c !== state.cluster : state.tint === "cluster" && c < 0;
    const [X, Y] = [state.axis_x, state.axis_y].map((axis) => map_data.axes[axis].values);
    let outside = 0;
    for (const ground of [true, false]) {
      pen.globalAlpha = ground ? 0.35 : 0.8;
      for (const i of order) {
        const c = map_data.cluster[i], x = X[i], y = Y[i];
        if (faint(c) !== ground) continue;
        if (!(x >= x0 && x <= x1 && y >= y0 && y <= y1)) {
          ++outside;
          continue;
        }
        const made =
            dot(ground                       ? zero :
                    state.tint === "cluster" ? of_cluster[c] :
                                               of_probe[map_data.sequences[map_data.sequence[i]].probe]);
        pen.drawImage(
            made, px(x) - made.width / scale / 2, py(y) - made.width / scale / 2, made.width / scale,
            made.width / scale);
      }
    }
    pen.globalAlpha = 1;
    if (state.point !== null) {
      const [x, y] = place_of(state.point).map((v, i) => i ? py(v) : px(v));
      for (const [shade, thick] of [[surface, 4], [ink, 2]]) {
        pen.strokeStyle = shade;
        pen.lineWidth = thick;
        pen.beginPath();
        pen.arc(x, y, radius + 4, 0, 7);
        pen.stroke();
      }
    }
    pen.restore();
    const key = (shade, name) => h("span", {}, h("span", {class: "dot", style: "background: " + shade}), name),
          most = 10;
    find(".legend", section)
        .replaceChildren(
            ...(state.tint === "probe" ?
                    probes.map((name, p) => key(of_probe[p], name)) :
                    [
                      ...clusters.slice(0, most).map((_, c) => key(of_cluster[c], "cluster " + (c + 1))),
                      clusters.length > most ? h("span", {}, `and ${clusters.length - most} more`) : "",
                      key(zero, "no cluster")
                    ]),
            outside ? h("span", {}, `${thousands(outside)} tokens outside`) : "",
            state.cluster === null ? "" : h("span", {}, `in colour: cluster ${state.cluster + 1} alone`));
  });

  /* The point nearest to a place of the sheet, of those that are in colour. */
  const nearest = (x, y, reach) => {
    let best = null, least = reach * reach;
    for (let i = 0; i !== map_size; ++i) {
      if (!shown(i) || (state.cluster !== null && map_data.cluster[i] !== state.cluster)) continue;
      const [a, b] = place_of(i), far = (px(a) - x) ** 2 + (py(b) - y) ** 2;
      if (far < least) [best, least] = [i, far];
    }
    return best;
  };
  const at = (event) => {
    const box = sheet.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  sheet.tip_at_pointer = true;
  sheet.tip = (event) => {
    const point = known(event.clientX) && !dragged ? nearest(...at(event), 14) : null;
    if (point === null) return null;
    const found = token_at(point);
    return [
      JSON.stringify(found.token), "\u2026" + found.near.replace(/\s+/g, " ") + "\u2026",
      `${probes[found.probe]}, ${cluster_name(found.cluster)}`, spell_place(point)
    ];
  };
  let held = null, dragged = false;
  sheet.addEventListener("pointerdown", (event) => {
    held = {from: at(event), view: seen()};
    dragged = false;
    sheet.setPointerCapture(event.pointerId);
  });
  sheet.addEventListener("pointermove", (event) => {
    if (held) {
      const [x, y] = at(event), dx = x - held.from[0], dy = y - held.from[1], [x0, x1, y0, y1] = held.view;
      if (dragged || Math.hypot(dx, dy) > 5) {
        dragged = true;
        const sx = dx * (x1 - x0) / (width - left - 6), sy = dy * (y1 - y0) / (height - below - top);
        look([x0 - sx, x1 - sx, y0 + sy, y1 + sy]);
      }
    }
    tell(event);
  });
  sheet.addEventListener("pointerup", (event) => {
    if (held && !dragged) choose({point: nearest(...at(event), 14)});
    held = null;
    dragged = false;
  });
  sheet.addEventListener("pointercancel", () => held = null);
  sheet.addEventListener("pointerleave", silence);
  sheet.addEventListener("keydown", (event) => {
    const way = {ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
    const others = {
      "+": () => zoom(1.6, middle()),
      "=": () => zoom(1.6, middle()),
      "-": () => zoom(1 / 1.6, middle()),
      "0": () => look(null),
      Escape: () => choose({point: null, cluster: null}),
      Enter: () => {
        if (state.point !== null && map_data.cluster[state.point] >= 0)
          choose({cluster: map_data.cluster[state.point]});
      }
    }[event.key];
    if (!way && !others) return;
    event.preventDefault();
    if (others) return others();
    if (state.point === null) return choose({point: nearest((left + width) / 2, (top + height - below) / 2, Infinity)});
    /* The nearest point ahead; the farther to the side, the less it counts as ahead. */
    const [x, y] = place_of(state.point).map((v, i) => i ? py(v) : px(v));
    let best = null, least = Infinity;
    for (let i = 0; i !== map_size; ++i) {
      if (!shown(i) || (state.cluster !== null && map_data.cluster[i] !== state.cluster)) continue;
      const [a, b] = place_of(i), dx = px(a) - x, dy = py(b) - y, ahead = dx * way[0] + dy * way[1];
      const cost = ahead + 2 * Math.abs(dx * way[1]) + 2 * Math.abs(dy * way[0]);
      if (ahead > 0.5 && cost < least) [best, least] = [i, cost];
    }
    if (best !== null) choose({point: best});
  });

  draws(["point", "cluster", "axis_x", "axis_y"], () => {
    const parts = [];
    if (state.point !== null) {
      const found = token_at(state.point);
      parts.push(
          h("h3", {}, `Token ${map_data.position[state.point]} of a sequence of ${probes[found.probe]}`),
          passage("", found.before, found.token, found.after),
          h("p", {class: "quiet"}, `${spell_place(state.point)}; row ${map_data.row[state.point]} of the arrays; `,
            found.cluster < 0 || !clusters.length ?
                cluster_name(-1) :
                h("button", {type: "button", onclick: () => choose({cluster: found.cluster})},
                  cluster_name(found.cluster))));
    }
    if (state.cluster !== null) {
      const found = clusters[state.cluster];
      parts.push(
          h("h3", {}, `Cluster ${state.cluster + 1}: ${found.size} tokens`),
          h("p", {class: "quiet"}, "The most typical first."),
          found.examples.map(
              (entry, i) => passage(
                  i + 1, entry.before, entry.token, entry.after,
                  () => [JSON.stringify(entry.token), "probe " + entry.probe])));
    }
    if (!parts.length)
      parts.push(
          h("p", {class: "quiet"}, "Nothing chosen: a point of the map",
            clusters.length ? ", or a cluster of the table, " : " ", "is read here."));
    find(".beside", section).replaceChildren(...parts.flat(Infinity));
  });
}

/* ---- clusters ---- */
function cluster_table() {
  const all = data.clusters;
  if (!all) return;
  const section = show("clusters"), most = 12;
  find(".caption", section).textContent = all.missing ?
      `No clusters: ${all.missing}.` :
      `Tokens that all components together answer alike: sets of the graph of each token's ${all.neighbours} nearest ` +
          `others, in ${
              all.dimensions} whitened dimensions, that few edges leave. Conductance: the share of edges that ` +
          `leave. As many points without structure have sets of ${
              fixed(all.structureless_conductance, 2)}, the same scores shuffled within each principal component of ${
              fixed(
                  all.shuffled_conductance, 2)}: clusters above that, in grey, may be no more than the tails of one ` +
          `component. Listed are ` +
          `those up to ${fixed(all.highest_conductance, 2)}` +
          (clusters.length ?
               `: ${clusters.length} of them, with ${
                   thousands(clusters.reduce((sum, each) => sum + each.size, 0))} of ${thousands(all.tokens)} tokens.` :
               ": none.");
  if (!clusters.length) return;
  /* The names with the largest share above that among all tokens, and that share. */
  const shares = (counts, names, totals, size) =>
      names.map((name, i) => ({name, share: counts[i] / size, base: totals[i] / all.tokens}))
          .sort((a, b) => (b.share - b.base) - (a.share - a.base));
  const spelled = ({name, share, base}) => `${name} ${percent(share)} (${percent(base)})`;
  const made_of = (counts, names, totals, size) => {
    const found = shares(list(counts), names, totals, size);
    const shown = found.filter(({share, base}) => share > base).slice(0, 2);
    return h(
        "td",
        {class: "word", tip: () => found.length ? ["share, and share of all tokens", ...found.map(spelled)] : null},
        shown.map((entry) => h("div", {}, spelled(entry))));
  };
  /* Tokens of few sequences may be copies of each other rather than of one kind: known where the map shows all. */
  const whole = map_data && map_size === map_data.rows, in_sequences = clusters.map(() => new Set());
  if (whole)
    map_data.cluster.forEach((c, i) => {
      if (c >= 0) in_sequences[c].add(map_data.sequence[i]);
    });
  const open = (c) => choose({cluster: state.cluster === c ? null : c});
  draws(["cluster", "theme", "every"], () => {
    const shown = state.every ? clusters : clusters.slice(0, Math.max(most, (state.cluster ?? 0) + 1));
    const focused = section.contains(document.activeElement) && document.activeElement.dataset.cluster;
    find(".body", section)
        .replaceChildren(
            table(
                [
                  ["cluster"], ["tokens", true], ...(whole ? [["sequences", true]] : []), ["conductance", true],
                  ["probes"], ["classes"], ["most frequent tokens"]
                ],
                shown.map(
                    (each, c) => h(
                        "tr",
                        {class: c === state.cluster ? "picked" : "", onclick: () => open(c), style: "cursor: pointer"},
                        h("th", {scope: "row"},
                          h("button", {
                            type: "button",
                            "data-cluster": c,
                            "aria-pressed": String(c === state.cluster),
                            "aria-label": `Cluster ${c + 1}`,
                            onclick: (event) => {
                              event.stopPropagation();
                              open(c);
                            }
                          },
                            h("span", {class: "dot", style: "background: " + category(c)}), " ", c + 1)),
                        cell(thousands(each.size)), whole ? cell(in_sequences[c].size) : "",
                        h("td", {class: "number" + (each.conductance < all.shuffled_conductance ? "" : " quiet")},
                          fixed(each.conductance, 2)),
                        made_of(each.probes, probes, all.tokens_of_probes, each.size),
                        made_of(each.classes, list(all.classes), list(all.tokens_of_classes), each.size),
                        h("td", {class: "word"},
                          each.tokens.slice(0, 6).map(
                              ({token, count}) =>
                                  [h("span", {class: "piece"}, one_line(token)),
                                   h("span", {class: "quiet"}, ` ${count}  `)]))))),
            shown.length < clusters.length ? h("p", {style: "margin-top: 12px"},
                                               h("button", {type: "button", onclick: () => choose({every: true})},
                                                 `show all ${clusters.length} clusters`)) :
                                             "");
    if (focused) find(`[data-cluster="${focused}"]`, section)?.focus();
  });
}
)js";
// clang-format on

}  // namespace susc::detail
