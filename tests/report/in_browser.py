"""in_browser.py PROGRAM: the report of a small run, opened, clicked and typed into. Skipped where there is no Chromium."""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

from browser import check, number, opened

RUN = ["--corpus", "synthetic", "--training-steps", "100", "--training-batch-size", "8", "--width", "32", "--heads", "8",
       "--context", "32", "--tokens-per-domain", "20000", "--probe-tokens", "256", "--evaluation-tokens", "64",
       "--batch-size", "4", "--draws", "8", "--chains", "2", "--burn-in", "2"]  # fmt: skip
# What a reader does; each step says what the page shows then.
READER = """
const sheet = find("#map canvas"), pen = sheet.getContext("2d");
const grey = (r, g, b) => Math.max(r, g, b) - Math.min(r, g, b) < 24;
const coloured = () => {
  const {data} = pen.getImageData(0, 0, sheet.width, sheet.height);
  let count = 0;
  for (let i = 0; i < data.length; i += 4) count += data[i + 3] > 0 && !grey(data[i], data[i + 1], data[i + 2]);
  return count;
};
const beside = () => [...find(".beside").children].map((part) => part.textContent);
const key = (name) => sheet.dispatchEvent(new KeyboardEvent("keydown", {key: name, bubbles: true, cancelable: true}));
const extremes = () => [...document.querySelectorAll(".extremes .passage")].map((each) => each.dataset.number);
said.extremes = [extremes()];
[...document.querySelectorAll("#patterns .controls button")][1].click();
said.extremes.push(extremes());
Object.assign(said, {hidden: find("#map").hidden || find("#clusters").hidden, nothing: beside(), all: coloured()});
find('[data-cluster="1"]').click();
said.cluster = beside();
said.pressed = [...document.querySelectorAll("[data-cluster]")].map((each) => each.getAttribute("aria-pressed"));
said.row = [...find("#clusters tbody").rows[1].cells].map((cell) => cell.textContent);
said.one = coloured();
key("ArrowRight");
said.first = beside()[2];
// The first token can be the outermost of its cluster one way, not both.
said.next = ["ArrowLeft", "ArrowRight"].map((name) => (key(name), beside()[2]));
key("Escape");
said.after = [beside(), coloured()];
const outside = () => +(/(\\d+) tokens outside/.exec(find("#map .legend").textContent) ?? [0, 0])[1];
said.outside = [outside()];
key("+");
said.outside.push(outside());
key("-");
said.outside.push(outside());
const box = sheet.getBoundingClientRect();
for (let x = 60; x < box.width && find("#tip").hidden; x += 7)
  sheet.dispatchEvent(
      new PointerEvent("pointermove", {clientX: box.left + x, clientY: box.top + box.height / 2, bubbles: true}));
said.tip = [...find("#tip").children].map((line) => line.textContent);
find("#map select").value = "2";
find("#map select").dispatchEvent(new Event("change"));
said.axis = coloured() > 0;
"""


def pc1(place):
    return number(re.match(r"PC1 (\S+),", place)[1])


def near(shown, entries):
    """Scores as they are shown, to one decimal."""
    scores = [entry["score"] for sign in ("highest", "lowest") for entry in entries[sign]]
    return len(shown) == len(scores) > 0 and all(abs(number(a) - b) <= .05001 for a, b in zip(shown, scores))


with tempfile.TemporaryDirectory(prefix="susc-browser-") as temporary:
    folder = pathlib.Path(temporary)
    subprocess.run([pathlib.Path(sys.argv[1]).absolute(), *RUN, "--output", folder / "results"], check=True,
                   capture_output=True, timeout=120)  # fmt: skip
    report = (folder / "results/report.html").read_text(encoding="utf-8")
    summary = json.loads((folder / "results/summary.json").read_text())
    found = summary["clusters"]["found"]
    map_data = json.loads(re.search(r'id="data">(.*?)</script', report, re.DOTALL)[1])["token_map"]
    sequences = {s for s, cluster in zip(map_data["sequence"], map_data["cluster"]) if cluster == 1}
    said = opened(folder / "results/report.html", READER)

modes = summary["top_tokens"]["full"]
check({
    "the tokens of the first mode": near(said["extremes"][0], modes[0]),
    "then of the second": near(said["extremes"][1], modes[1]),
    "the sections are shown": not said["hidden"],
    "nothing is chosen": len(said["nothing"]) == 1 and said["nothing"][0].startswith("Nothing chosen"),
    "points in colour": said["all"] > 1000,
    "the cluster's name and size": said["cluster"][0] == f"Cluster 2: {found[1]['size']} tokens",
    "its tokens and sequences": said["row"][1:3] == [str(found[1]["size"]), str(len(sequences))],
    "its examples": len(said["cluster"]) == 2 + len(found[1]["examples"]),
    "its button is pressed, no other": said["pressed"] == [str(c == 1).lower() for c in range(len(said["pressed"]))],
    "its points alone are in colour": 0 < said["one"] < said["all"] / 4,
    "a key chooses a token of the cluster": said["first"].rstrip().endswith("cluster 2"),
    "keys go on to others of it": all(place.rstrip().endswith("cluster 2") for place in said["next"])
        and len({said["first"], *said["next"]}) > 1,
    "left is to the left, right to the right": pc1(said["next"][0]) <= min(pc1(said["first"]), pc1(said["next"][1])),
    "nothing is chosen after Escape": said["after"] == [said["nothing"], said["all"]],
    "closer, more tokens are outside": said["outside"][0] == said["outside"][2] < said["outside"][1],
    "a token under the pointer": len(said["tip"]) == 4 and "PC1" in said["tip"][3],
    "another axis": said["axis"],
}, said)  # fmt: skip
