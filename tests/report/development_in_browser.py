"""development_in_browser.py PROGRAM: a small development, its page opened and its slider moved. Skipped where there is no
Chromium."""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

from browser import check, number, opened

RUN = ("--corpus synthetic --width 16 --layers 2 --heads 2 --training-steps 60 --chains 2 --draws 8 --burn-in 2 "
       "--probe-tokens 64 --evaluation-tokens 64 --localization 300 --checkpoints 3").split()  # fmt: skip
READER = """
const slider = find("#bar input[type=range]"), rows = (selector) => [...document.querySelectorAll(selector)];
const shown = () => ({
  at: [...new Set(rows("h2 .at").map((each) => each.textContent))],
  output: find("#bar output").textContent,
  matrix: rows("#matrix tbody tr").map((row) => [...row.cells].slice(1).map((cell) => cell.textContent)),
  unit: find("#matrix .legend").textContent,
  explained: rows("#modes .loadings h3").map((each) => each.textContent),
  cursors: rows("#over-training .here").map((each) => each.getAttribute("x1")),
});
said.charts = rows("#over-training figure").length;
said.shown = [shown()];
for (const at of [0, 1, 2]) {
  slider.value = at;
  slider.dispatchEvent(new Event("input"));
  said.shown.push(shown());
}
const select = find("#bar select"), title = () => rows("#over-training h3").map((each) => each.textContent).join("; ");
said.titles = [title()];
select.value = select.options[3].value;
select.dispatchEvent(new Event("change"));
said.titles.push(title());
"""

with tempfile.TemporaryDirectory(prefix="susc-browser-") as temporary:
    out = pathlib.Path(temporary) / "development"
    subprocess.run([pathlib.Path(sys.argv[1]).absolute(), *RUN, "--output", out], check=True, capture_output=True,
                   timeout=120)  # fmt: skip
    numbers = json.loads((out / "development.json").read_text())
    said = opened(out / "development.html", READER)

first, *moved = said["shown"]
steps = numbers["steps"]


def shows(at, step):
    return at["at"] == [f"at step {step}"] and at["output"].startswith(f"step {step} (")


def matrix_of(at, k):
    """Whether the cells, in their power of ten, are the numbers of the file."""
    power = at["unit"].partition("numbers × 10")[2].partition("|")[0]
    unit = 10 ** int(power.translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-"))) if power else 1
    cells = [number(cell) for row in at["matrix"] for cell in row]
    values = [x for row in numbers["susceptibilities"]["value"][k] for x in row]
    return len(cells) == len(values) and all(abs(a - b / unit) <= .0501 for a, b in zip(cells, values))


def modes_of(at, k):
    shares = [100 * x for x in numbers["explained"][k][:3]]
    shown = [re.fullmatch(r"PC(\d) · ([\d.]+) %", text).groups() for text in at["explained"]]
    return [n for n, _ in shown] == ["1", "2", "3"] and all(abs(float(x) - y) <= .501 for (_, x), y in zip(shown, shares))


check({
    "the last checkpoint first": shows(first, steps[-1]),
    "charts": said["charts"] == 9,
    "the slider's checkpoint": len(moved) == len(steps) and all(map(shows, moved, steps)),
    "its matrix": all(matrix_of(at, k) for k, at in enumerate(moved)),
    "its modes": all(modes_of(at, k) for k, at in enumerate(moved)),
    "its place on the charts": len(moved[0]["cursors"]) == 9 and len({at["cursors"][0] for at in moved}) == len(moved),
    "back where it began": moved[-1] == first,
    "another component": said["titles"][0] != said["titles"][1] and "χ of l1h1" in said["titles"][1],
}, said)  # fmt: skip
