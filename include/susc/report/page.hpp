#pragma once
/// The markup and style of the HTML report. The marks `@title@`, `@data@` and `@script@` are filled in by html.hpp, in
/// this order. Every colour is a variable, given once for light and once for dark; the script reads the scales from
/// them.
#include <string_view>

#include "susc/core/requirements.hpp"

namespace susc::detail {

// clang-format off
inline constexpr std::string_view report_page = R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>@title@</title>
<style>
:root {
  --surface: #fcfbf8; --raised: #f3f1ec; --ink: #22242a; --quiet: #62656e; --line: #dedbd3; --strong-line: #a9a69d;
  --accent: #2c4f7c; --warn: #8a3b00; --warn-surface: #fdeeda;
  --neg2: #174f8f; --neg1: #7fb0dc; --zero: #f7f5f0; --pos1: #eda46f; --pos2: #a63c0b;
  --low: #e0ddd5; --middle: #a190c9; --high: #47257f; --hatch: rgba(60, 60, 60, .22);
  --chain0: #0072b2; --chain1: #d55e00; --chain2: #009e73; --chain3: #b65c92;
  --chain4: #3f9bd3; --chain5: #b58900; --chain6: #5b5b5b; --chain7: #7a4bb5;
  --sans: "Source Sans 3", "Source Sans Pro", Inter, system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif;
  --mono: "Source Code Pro", "JetBrains Mono", ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --surface: #17181b; --raised: #212327; --ink: #e5e3dd; --quiet: #a2a4ab; --line: #34363b; --strong-line: #64676e;
    --accent: #9cc3f2; --warn: #ffc58a; --warn-surface: #3a2a19;
    --neg2: #86c5ff; --neg1: #2f6699; --zero: #24262a; --pos1: #985329; --pos2: #ffac78;
    --low: #4b4e55; --middle: #8d7cc6; --high: #dccdff; --hatch: rgba(230, 230, 230, .2);
    --chain0: #56b4e9; --chain1: #f08a45; --chain2: #35c39a; --chain3: #e29ac0;
    --chain4: #a5d5f5; --chain5: #e2c04c; --chain6: #bdbdbd; --chain7: #b698e8;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--surface); color: var(--ink); font: 15px/1.5 var(--sans); }
main, header, footer { max-width: 1168px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 40px; }
h1 { font-size: 29px; line-height: 1.2; font-weight: 600; letter-spacing: -.01em; margin: 0 0 10px; overflow-wrap: anywhere; }
h2 { font-size: 19px; line-height: 1.3; font-weight: 600; margin: 0 0 6px; }
h3 { font-size: 14px; font-weight: 600; margin: 0 0 4px; }
p { margin: 0; }
section { padding: 30px 0 6px; margin-top: 26px; border-top: 1px solid var(--line); }
[hidden] { display: none !important; }
.quiet, .caption { color: var(--quiet); }
.caption { max-width: 78ch; margin-bottom: 14px; }
#settings { font-size: 14px; overflow-wrap: anywhere; }
#settings b, #versions b { font-weight: 400; color: var(--quiet); }
.pair { white-space: nowrap; }
#warnings { margin-top: 16px; font-size: 14px; }
#warnings.some { background: var(--warn-surface); border-left: 3px solid var(--warn); padding: 10px 16px; }
#warnings.some h2 { font-size: 14px; color: var(--warn); }
#warnings ul { margin: 2px 0 0; padding-left: 18px; }
nav { margin-top: 16px; font-size: 14px; display: flex; flex-wrap: wrap; gap: 4px 18px; }
a { color: var(--accent); text-underline-offset: 3px; text-decoration-thickness: 1px; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
button, select { font: inherit; font-size: 13px; color: inherit; background: var(--surface); border: 1px solid var(--strong-line); border-radius: 4px; padding: 2px 9px; cursor: pointer; }
button:hover, select:hover { background: var(--raised); }
button[aria-pressed=true] { background: var(--ink); border-color: var(--ink); color: var(--surface); }
.controls { display: flex; flex-wrap: wrap; align-items: center; gap: 8px 26px; margin-bottom: 14px; font-size: 13px; }
.choice { display: inline-flex; flex-wrap: wrap; align-items: center; gap: 4px; }
.choice > span, label > span { color: var(--quiet); margin-right: 6px; }
.legend { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 24px; font-size: 12.5px; color: var(--quiet); margin: 10px 0 4px; font-variant-numeric: tabular-nums; }
.legend > span { display: inline-flex; align-items: center; gap: 7px; }
.bar { display: inline-block; width: 150px; height: 11px; border-radius: 2px; }
.swatch { display: inline-block; width: 22px; height: 13px; border-radius: 2px; border: 1px solid var(--line); }
.hatched { background-image: repeating-linear-gradient(135deg, transparent 0 3px, var(--hatch) 3px 4.2px); }
.scroll { overflow-x: auto; }
.panels { display: grid; gap: 20px 32px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 320px), 1fr)); }
.thirds { display: grid; gap: 20px 28px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 215px), 1fr)); margin-top: 20px; }
.scatters { margin-top: 18px; }
.panels > *, .thirds > * { min-width: 0; }
svg { display: block; max-width: 100%; }
svg text { font: 11.5px var(--sans); fill: var(--ink); font-variant-numeric: tabular-nums; }
svg text.quiet { fill: var(--quiet); }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .zero { stroke: var(--strong-line); stroke-width: 1; }
svg .lit { stroke: var(--ink) !important; stroke-width: 2.4px !important; }
svg text.chosen { font-weight: 700; }
table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th { font-weight: 600; text-align: left; }
table.plain { width: 100%; }
table.plain thead th { white-space: nowrap; color: var(--quiet); font-weight: 400; font-size: 12.5px; border-bottom: 1px solid var(--strong-line); vertical-align: bottom; }
table.plain th, table.plain td { padding: 3px 14px 3px 0; }
table.plain th:last-child, table.plain td:last-child { padding-right: 6px; }
table.plain td.word, table.plain th.word:not(:first-child) { padding-left: 14px; }
table.plain tbody tr { border-bottom: 1px solid var(--line); }
table.plain .number { text-align: right; white-space: nowrap; }
table.plain tr.chosen th { text-decoration: underline; text-decoration-thickness: 2px; text-underline-offset: 3px; }
td.bad { background: var(--warn-surface); color: var(--warn); font-weight: 600; }
td.bad::before { content: "! "; }
.meter { display: inline-block; width: 64px; height: 8px; margin-right: 9px; background: var(--raised); border-radius: 2px; }
.meter > span { display: block; height: 8px; border-radius: 2px; background: var(--strong-line); }
.heatmap { width: 100%; table-layout: fixed; font-size: 12px; border-spacing: 1px; border-collapse: separate; }
.heatmap th { padding: 0; font-weight: 400; }
.heatmap th button { width: 100%; border: 0; background: none; padding: 3px 1px; font-size: 12px; border-radius: 3px; overflow: hidden; text-overflow: ellipsis; }
.heatmap tbody th button { text-align: left; font-size: 13px; padding-right: 8px; }
.heatmap th button:hover { background: var(--raised); }
.heatmap th button[aria-pressed=true] { background: var(--ink); color: var(--surface); }
.heatmap tbody th button[aria-pressed=true] { background: none; color: inherit; font-weight: 700; }
.heatmap td { height: 38px; padding: 0; text-align: center; cursor: pointer; border-radius: 2px; overflow: hidden; }
.heatmap .new-layer { border-left: 7px solid transparent; background-clip: padding-box; }
.heatmap td:hover, .heatmap td:focus-visible { outline: 2px solid var(--ink); outline-offset: -2px; }
.heatmap.tall thead button { writing-mode: vertical-rl; transform: rotate(180deg); width: auto; max-height: 210px; }
.heatmap.dense .new-layer { border-left-width: 3px; }
.heatmap.dense thead button { font-size: 11px; padding: 3px 0; }
.heatmap.tall thead th { text-align: center; vertical-align: bottom; }
.heatmap.dense td { font-size: 0; height: 26px; }
.passage { font: 13.5px/1.72 var(--mono); white-space: pre-wrap; overflow-wrap: anywhere; tab-size: 4; padding: 10px 12px 10px 34px; border-bottom: 1px solid var(--line); position: relative; }
.passage::before { content: attr(data-number); position: absolute; left: 0; top: 10px; color: var(--quiet); font-size: 12px; }
.passage.scored { font-size: 12.5px; line-height: 1.5; padding: 6px 0 6px 46px; }
.passage.scored::before { top: 6px; }
.token { padding: 2px 0; border-radius: 2px; box-shadow: inset -1px 0 var(--surface); }
.token:hover, .token:focus-visible { outline: 2px solid var(--ink); outline-offset: 0; }
.token .mark { opacity: .55; }
.token.found { background: var(--accent); color: var(--surface); }
.map { display: grid; gap: 16px 28px; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); }
.map canvas { display: block; cursor: crosshair; touch-action: pan-y; }
.beside { max-height: 560px; overflow-y: auto; font-size: 13px; }
.beside h3 { margin-top: 2px; }
.beside p { margin-bottom: 12px; }
.dot { display: inline-block; width: 10px; height: 10px; border-radius: 50%; }
.piece { font: 12.5px var(--mono); white-space: pre; background: var(--raised); border-radius: 2px; padding: 1px 2px; }
table.plain tr.picked { background: var(--raised); }
#tip { position: fixed; z-index: 9; pointer-events: none; max-width: min(340px, 92vw); padding: 7px 11px; font-size: 13px; line-height: 1.45; color: var(--surface); background: var(--ink); border-radius: 5px; box-shadow: 0 2px 12px rgba(0, 0, 0, .25); overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
#tip b { display: block; font-weight: 600; white-space: pre-wrap; }
footer { padding-top: 26px; padding-bottom: 46px; font-size: 13px; color: var(--quiet); overflow-wrap: anywhere; }
@media (max-width: 900px) { .map { grid-template-columns: minmax(0, 1fr); } .heatmap { font-size: 11px; } main, header, footer { padding-left: 18px; padding-right: 18px; } }
@media print { nav, .controls { display: none; } section { break-inside: avoid; } #text-section { break-inside: auto; } }
</style>
</head>
<body>
<header>
  <h1 id="title"></h1>
  <p id="settings"></p>
  <div id="warnings" role="note"></div>
  <nav aria-label="Sections"></nav>
  <noscript><p>This page draws its figures with JavaScript; the data is embedded in its source as JSON.</p></noscript>
</header>
<main>
  <section id="response" hidden>
    <h2>Response matrix</h2>
    <p class="caption">χ = −Cov[φ, ΔL]: how a component's loss φ responds when a probe's data gets more weight. Positive
      (orange): more weight on the probe raises φ; negative (blue): it lowers φ. Hatched cells lie within two standard errors
      of zero. Choose a column, or a cell, to follow it through the page.</p>
    <div class="controls"></div>
    <div class="scroll body"></div>
    <div class="legend"></div>
  </section>
  <section id="structure" hidden>
    <h2>Principal components</h2>
    <p class="caption"></p>
    <div class="controls"></div>
    <div class="spectrum"></div>
    <div class="legend"></div>
    <div class="panels scatters"></div>
    <div class="thirds loadings"></div>
  </section>
  <section id="patterns" hidden>
    <h2>Tokens by pattern</h2>
    <p class="caption">Mean score of the tokens of each class on each principal component of the tokens, ± its standard error
      over sequences. Hatched: within two standard errors of all other tokens. Below, the tokens of the largest scores of
      either sign, with the text around them.</p>
    <div class="scroll body"></div>
    <div class="controls" style="margin-top: 18px"></div>
    <div class="panels extremes"></div>
  </section>
  <section id="map" hidden>
    <h2>Token map</h2>
    <p class="caption"></p>
    <div class="controls"></div>
    <div class="map">
      <div><div class="sheet"></div><div class="legend"></div></div>
      <div class="beside" role="region" aria-label="What is chosen" aria-live="polite" tabindex="0"></div>
    </div>
  </section>
  <section id="clusters" hidden>
    <h2>Clusters of tokens</h2>
    <p class="caption"></p>
    <div class="scroll body"></div>
  </section>
  <section id="balance" hidden>
    <h2>Expression and suppression</h2>
    <p class="caption">A token with χ below zero is expressed by the component: what makes the component worse makes the token
      worse. One with χ above zero is suppressed. Errors are over sequences; they do not hold the noise of the chains.</p>
    <div class="scroll body"></div>
  </section>
  <section id="heads" hidden>
    <h2>Attention heads</h2>
    <p class="caption">Prefix matching: attention from a position in the second copy of a repeated sequence to the token that
      followed its first occurrence. Previous token: attention to the position before.</p>
    <div class="panels body"></div>
  </section>
  <section id="traces" hidden>
    <h2>Traces of φ</h2>
    <p class="caption">The component's loss above its trained value, in nats, draw by draw; burn-in excluded. Chains of a
      stationary sampler overlap and show no trend.</p>
    <div class="controls"></div>
    <div class="body"></div>
    <div class="legend"></div>
  </section>
  <section id="diagnostics" hidden>
    <h2>Diagnostics</h2>
    <p class="caption">Marked cells break a rule: R̂ above 1.05, effective sample size (ESS) below 100, or a chain dropped.
      LLC: local learning coefficient.</p>
    <div class="scroll body"></div>
  </section>
  <section id="text-section" hidden>
    <h2>Susceptibility of real text</h2>
    <p class="caption">Each token is coloured by its own susceptibility: the response to more weight on this token in this
      context. A newline is shown as ⏎. Tokens without a prediction (the first of a sequence) have no colour.</p>
    <div class="controls"></div>
    <div class="legend"></div>
    <div class="body"></div>
  </section>
  <section id="tables" hidden>
    <div class="panels">
      <div id="losses" hidden><h2>Held-out losses</h2><p class="caption">Mean loss in nats a token; lower is better.</p><div class="scroll body"></div></div>
      <div id="timings" hidden><h2>Timing</h2><p class="caption">Wall-clock time by phase.</p><div class="scroll body"></div></div>
    </div>
  </section>
</main>
<footer><p id="versions"></p></footer>
<div id="tip" role="status" hidden></div>
<script type="application/json" id="data">@data@</script>
<script type="module">@script@</script>
</body>
</html>
)html";
// clang-format on

}  // namespace susc::detail
