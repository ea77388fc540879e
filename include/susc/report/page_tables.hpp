#pragma once
/// The script of the HTML report, part 4 of 4: header, tables and coloured text, one function a section, and at the end
/// the lines that draw the page.
#include <string_view>

#include "susc/core/requirements.hpp"

namespace susc::detail {

// clang-format off
inline constexpr std::string_view report_tables = R"js(
/* ---- header ---- */
function header() {
  find("#title").textContent = data.title;
  const said = (value) => typeof value === "number" ?
      (Number.isInteger(value) ? String(value) : minus(String(+value.toPrecision(6)))) :
      typeof value === "string" ? value :
                                  JSON.stringify(value);
  const pairs = (values) => Object.entries(values || {})
                                .flatMap(
                                    ([name, value], i) =>
                                        [i ? " \u00b7 " : "",
                                         h("span", {class: said(value).length > 40 ? "" : "pair"},
                                           h("b", {}, name.replaceAll("_", " ") + " "), said(value))]);
  find("#settings").append(...pairs(data.settings));
  find("#versions").append(...pairs(data.versions));
  const warnings = find("#warnings");
  if (data.warnings.length) {
    warnings.className = "some";
    warnings.append(
        h("h2", {}, data.warnings.length === 1 ? "1 warning" : data.warnings.length + " warnings"),
        h("ul", {}, data.warnings.map((text) => h("li", {}, text))));
  } else {
    warnings.className = "quiet";
    warnings.append("Diagnostics gave no warnings.");
  }
}

/* ---- tokens by pattern ---- */
function pattern_table() {
  const found = data.token_patterns, section = show("patterns");
  const count = list(found.mean[0]).length;
  draws(["theme", "mode"], () => {
    const limit = largest(found.mean.flat());
    const score = (p, k) => {
      const x = found.mean[p][k], difference = found.difference[p][k], error = found.difference_error[p][k];
      const faint = !known(error) || Math.abs(difference) < 2 * error, shade = known(x) ? diverging(x, limit) : null;
      return h(
          "td", {
            class: "number" + (faint ? " hatched" : ""),
            style: shade ? `background-color: ${shade.css}; color: ${shade.ink}` : "",
            tip: () =>
                [`${found.classes[p]}, PC ${k + 1}`, "mean score " + with_error(x, found.error[p][k]),
                 "less that of all other tokens: " + with_error(difference, error)]
          },
          with_error(x, found.error[p][k]));
    };
    find(".body", section)
        .replaceChildren(table(
            [["class"], ["tokens", true], ...Array.from({length: count}, (_, k) => [`PC ${k + 1}`, true])],
            found.classes.map(
                (name, p) =>
                    h("tr", {}, h("th", {scope: "row"}, name), cell(String(found.tokens[p])),
                      found.mean[p].map((_, k) => score(p, k))))));
  });
}
function patterns() {
  const top = list(data.top_tokens);
  if (data.token_patterns && list(data.token_patterns.mean).length) pattern_table();
  if (!top.length) return;
  const section = show("patterns");
  find(".controls", section)
      .append(choice("Principal component", "mode", top.map((_, k) => [k, String(k + 1)])));
  const in_line = (text) => visible(text).flat().filter((part) => part !== "\n");
  draws(["theme", "mode"], () => {
    const both = [["Highest scores", top[state.mode].highest], ["Lowest scores", top[state.mode].lowest]];
    const limit = largest(both.flatMap(([, entries]) => entries.map((entry) => entry.score)));
    find(".extremes", section)
        .replaceChildren(...both.map(
            ([heading, entries]) => h(
                "div", {}, h("h3", {}, heading),
                entries.length ? null : h("p", {class: "quiet"}, "No token."),
                entries.map((entry) => {
                  const shade = diverging(entry.score, limit);
                  return h(
                      "div", {class: "passage scored", "data-number": fixed(entry.score, 1)},
                      h("span", {class: "quiet"}, in_line(entry.before)),
                      h("span", {
                        class: "token",
                        style: `background: ${shade.css}; color: ${shade.ink}`,
                        tip: () =>
                            [JSON.stringify(entry.token), "score " + significant(entry.score), "probe " + entry.probe]
                      },
                        in_line(entry.token)),
                      h("span", {class: "quiet"}, in_line(entry.after)));
                }))));
  });
}

/* ---- expression and suppression ---- */
function balance() {
  const rows = list(data.sign_balance);
  if (!rows.length) return;
  const section = show("balance");
  const share = (row, name) => cell(with_error(100 * row[name], 100 * row[name + "_error"]));
  const mean = (row, name) => cell(with_error(row[name], row[name + "_error"]));
  draws(
      ["component"],
      () => find(".body", section)
                .replaceChildren(table(
                    [
                      ["component"], ["expressed, % of tokens", true], ["their mean \u03c7", true],
                      ["suppressed, % of tokens", true], ["their mean \u03c7", true]
                    ],
                    rows.map(
                        (row) =>
                            h("tr", {class: row.component === state.component ? "chosen" : ""},
                              h("th", {scope: "row"}, row.component), share(row, "expressed_share"),
                              mean(row, "expressed_mean"), share(row, "suppressed_share"),
                              mean(row, "suppressed_mean"))))));
}

/* ---- heads ---- */
function head_tables() {
  if (!heads.size) return;
  const section = show("heads"), all = [...heads.values()];
  const meter = (x, shade) =>
      [h("span", {class: "meter", "aria-hidden": true},
         h("span", {style: `width: ${100 * Math.min(1, Math.max(0, x || 0))}%; background: ${shade}`})),
       fixed(x, 2)];
  draws(
      ["theme", "component"],
      () =>
          find(".body", section)
              .replaceChildren(...[...new Set(all.map((head) => head.layer))].map(
                  (layer) => h(
                      "div", {class: "scroll"},
                      table(
                          [["layer " + layer], ["prefix matching", true], ["previous token", true], ["induction"]],
                          all.filter((head) => head.layer === layer)
                              .map(
                                  (head) => h(
                                      "tr", {class: head.name === state.component ? "chosen" : ""},
                                      h("th", {scope: "row"}, head.name),
                                      h("td", {class: "number"}, meter(head.prefix_matching, head_colour(head.name))),
                                      h("td", {class: "number"}, meter(head.previous_token, style("--strong-line"))),
                                      h("td", {class: "word"},
                                        head.induction ? h("b", {}, "yes") : h("span", {class: "quiet"}, "no")))))))));
}

/* ---- diagnostics ---- */
function diagnostics() {
  if (!data.diagnostics.length) return;
  const section = show("diagnostics"), located = data.diagnostics.every((row) => known(row.localization));
  draws(
      ["component"],
      () => find(".body", section)
                .replaceChildren(table(
                    [
                      ["component"], ...(located ? [["\u03b3", true]] : []), ["E[\u03c6] \u00b1 SE (nats)", true], ["LLC \u00b1 SE", true], ["R\u0302", true],
                      ["ESS", true], ["dropped chains", true], ["draws", true]
                    ],
                    data.diagnostics.map(
                        (row) =>
                            h("tr", {class: row.component === state.component ? "chosen" : ""},
                              h("th", {scope: "row"}, row.component),
                              ...(located ? [cell(significant(row.localization))] : []),
                              cell(with_error(row.mean_observable, row.mean_observable_error)),
                              cell(with_error(row.llc, row.llc_error)),
                              cell(fixed(row.r_hat, 3), !(row.r_hat <= 1.05) || !known(row.r_hat)),
                              cell(fixed(row.ess, 0), !(row.ess >= 100) || !known(row.ess)),
                              cell(String(row.dropped_chains), row.dropped_chains > 0), cell(String(row.draws)))))));
}

/* ---- real text ---- */
/* What is read on the page for a token: newlines and tabs get a sign, other control characters their picture. */
const visible = (token) => [...token].map(
    (c) => c === "\n" ? [h("span", {class: "mark"}, "\u23ce"), "\n"] :
        c === "\t"    ? [h("span", {class: "mark"}, "\u2192"), "\t"] :
        c < " "       ? String.fromCharCode(0x2400 + c.charCodeAt(0)) :
                        c);
function real_text() {
  if (!texts.size) return;
  const section = show("text-section"),
        chips =
            components.length > 48 ? null : choice("Component", "component", components.map((name) => [name, name]));
  const select = chips ||
      h("label", {}, h("span", {}, "Component"),
        h("select", {onchange: (event) => choose({component: event.target.value})},
          components.map((name) => h("option", {value: name}, name))));
  if (!chips)
    draws(["component"], () => {
      find("select", select).value = state.component;
    });
  find(".controls", section)
      .append(
          choice("Probe", "probe", [...texts.keys()].map((name) => [name, name])), select,
          choice("Values under 2 standard errors", "faint", [["show", "show"], ["hide", "leave uncoloured"]]));
  const most = 12;
  draws(["component", "probe", "faint", "all", "theme"], () => {
    const c = components.indexOf(state.component), sequences = texts.get(state.probe) || [];
    const values_of = (some, part) => some.flatMap((sequence) => sequence[part].map((row) => row ? row[c] : null));
    const limit = percentile([...texts.values()].flatMap((some) => values_of(some, "value")), 0.98);
    const here = values_of(sequences, "value"), errors = values_of(sequences, "error"),
          counted = here.filter(known).length;
    const sure = here.filter((x, i) => known(x) && Math.abs(x) >= 2 * errors[i]).length;
    const {value, error} = matrices[data.centring], p = probes.indexOf(state.probe);
    find(".legend", section)
        .replaceChildren(
            h("span", {}, "\u03c7 ", minus("-" + significant(limit)),
              h("span", {class: "bar", style: "background: " + gradient(diverging_ramp)}), "+" + significant(limit)),
            h("span", {},
              `ends of the scale: 98th percentile of |\u03c7| of ${state.component} over all probes (${
                  data.centring} centring)`),
            h("span", {},
              `${counted ? Math.round(100 * sure / counted) : 0} % of these tokens exceed two standard errors`),
            p >= 0 ? h("span", {}, `mean over the probe: \u03c7 = ${with_error(value[p][c], error[p][c])}`) : "");
    const spans = [], shown = state.all ? sequences : sequences.slice(0, most);
    find(".body", section)
        .replaceChildren(
            ...(sequences.length ? [] : [h("p", {class: "quiet"}, "No text was kept for this probe.")]),
            ...shown.map(
                (sequence, s) => h("div", {class: "passage", "data-number": s + 1}, sequence.tokens.map((token, t) => {
                  const x = sequence.value[t] ? sequence.value[t][c] : null,
                        e = sequence.error[t] ? sequence.error[t][c] : null,
                        noise = known(x) && known(e) && Math.abs(x) < 2 * e;
                  const shade = known(x) && !(noise && state.faint === "hide") ? diverging(x, limit) : null;
                  const span =
                      h("span", {
                        class: "token",
                        style: shade ? `background: ${shade.css}; color: ${shade.ink}` : "",
                        tip: () =>
                            [JSON.stringify(token),
                             known(x) ? "\u03c7 = " + with_error(x, e) + (noise ? "  (< 2 SE)" : "") : "no prediction",
                             known(sequence.loss[t]) ? `loss ${fixed(sequence.loss[t], 3)} nats` : ""]
                      },
                        visible(token));
                  spans.push(span);
                  return span;
                }))),
            ...(sequences.length > most && !state.all ?
                    [h("p", {style: "margin-top: 12px"},
                       h("button", {type: "button", onclick: () => choose({all: true})},
                         `show all ${sequences.length} sequences`))] :
                    []));
    rove(spans, 0);
  });
}

/* ---- losses and timings ---- */
function tables() {
  const losses = list(data.losses), timings = list(data.timings);
  if (!losses.length && !timings.length) return;
  show("tables");
  if (losses.length)
    find(".body", show("losses"))
        .append(table([["domain"], ["model", true], ["unigram", true], ["bigram", true]], losses.map((row) => {
          const best = Math.min(...[row.model, row.unigram, row.bigram].filter(known));
          return h("tr", {}, h("th", {scope: "row"}, row.domain), [
            row.model, row.unigram, row.bigram
          ].map((x) => h("td", {class: "number"}, x === best ? h("b", {}, fixed(x, 3)) : fixed(x, 3))));
        })));
  if (timings.length)
    find(".body", show("timings"))
        .append(table(
            [["phase"], ["seconds", true], ["tokens / s", true]],
            timings.map(
                (row) =>
                    h("tr", {}, h("th", {scope: "row"}, row.phase), cell(fixed(row.seconds, 1)),
                      cell(
                          known(row.tokens_per_second) ?
                              Math.round(row.tokens_per_second).toLocaleString("en").replaceAll(",", "\u202f") :
                              "\u2013")))));
}

/* ---- the page ---- */
for (const draw of [header, response, structure, patterns, token_map, cluster_table, balance, head_tables, traces, diagnostics, real_text, tables]) draw();
for (const section of document.querySelectorAll("main > section:not([hidden])"))
  find("nav").append(
      h("a", {href: "#" + section.id},
        [...section.querySelectorAll("h2")]
            .filter((heading) => !heading.parentNode.hidden)
            .map((heading) => heading.textContent)
            .join(", ")));
let width = innerWidth, pending = false;
addEventListener("resize", () => {
  if (innerWidth !== width && !pending) {
    pending = true;
    requestAnimationFrame(() => {
      pending = false;
      width = innerWidth;
      redraw("size");
    });
  }
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  paint();
  redraw("theme");
});
)js";
// clang-format on

}  // namespace susc::detail
