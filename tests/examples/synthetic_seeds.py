"""The whole job on the generated language, for three training seeds and two sampling seeds each: induction heads form,
a principal component of the per-token matrix separates them, and the components do not depend on the sampling seed.

Usage: synthetic_seeds.py PROGRAM   (minutes; the table it prints is the result)
"""
import json
import pathlib
import subprocess
import sys
import tempfile

program = sys.argv[1]
failures = []


def expect(holds, what):
    if not holds:
        failures.append(what)


def run(output, training_seed, seed):
    # The second sampling seed finds the first one's model in the same folder.
    subprocess.run([program, "--corpus", "synthetic", "--output", output, "--training-seed", str(training_seed),
                    "--seed", str(seed)], check=True, stdout=subprocess.DEVNULL)
    return json.loads((pathlib.Path(output) / "summary.json").read_text())


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b))
    return abs(dot) / (sum(x * x for x in a) * sum(y * y for y in b)) ** .5


print("seed  induction heads  prefix  previous  | AUC-L1 of PC1 PC2 PC3: full, restricted   | cos between sampling seeds PC1 PC2 PC3",
      flush=True)
for training_seed in 1, 2, 3:
    with tempfile.TemporaryDirectory() as output:
        first, second = run(output, training_seed, 1), run(output, training_seed, 2)
    heads = first["heads"]
    prefix = max(h["prefix_matching"] for h in heads if h["layer"] == 1)
    previous = max(h["previous_token"] for h in heads if h["layer"] == 0)
    modes = {how: first["principal_components"][how]["tokens"] for how in ("full", "restricted")}
    areas = {how: [a if a is not None else 0 for a in modes[how]["auc_l1"][:3]] for how in modes}
    same = [cosine(a, b) for a, b in zip(modes["full"]["loadings"],
                                         second["principal_components"]["full"]["tokens"]["loadings"])][:3]
    print(f"{training_seed:4}  {sum(h['induction'] for h in heads):15}  {prefix:6.2f}  {previous:8.2f}  | "
          + ", ".join(" ".join(f"{a:.2f}" for a in areas[how]) for how in modes)
          + "  | " + " ".join(f"{c:.3f}" for c in same), flush=True)
    expect(prefix > .3, f"seed {training_seed}: no second-layer head has a prefix score above .3")
    expect(previous > .5, f"seed {training_seed}: no first-layer head has a previous-token score above .5")
    expect(max(areas["full"]) >= .75, f"seed {training_seed}: no principal component separates induction heads")
    expect(min(same[:2]) >= .9, f"seed {training_seed}: PC1 or PC2 depends on the sampling seed")

for failure in failures:
    print("FAILED:", failure)
sys.exit(bool(failures))
