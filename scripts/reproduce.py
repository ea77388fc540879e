"""Redoes the study of arXiv 2504.18274 at its scale, from a folder of text to tables: one command, hours.

    python3 scripts/reproduce.py CORPUS [--output reproduction] [--seeds 1 2 3] [--program FILE] [SETTING VALUE ...]

Trains a two-layer, attention-only transformer of 3.16 M parameters for each seed, on the same data (each subfolder of CORPUS
is a domain): by scripts/train.py where PyTorch finds a GPU, else by structural_inference itself. Samples around each, the
first once more with another sampling seed; then writes OUTPUT/tables.md and OUTPUT/tables.json: losses, singular values,
loadings beside the scores of each head, how well each mode separates induction heads, what all heads share, classes of
tokens on each mode, and how far seeds agree. The run of each seed is in OUTPUT/seed-S, with its report.

Training multiplies in bfloat16 where the CPU has it, or as the weights say that OUTPUT/seed-S/model.safetensors holds
already. Further settings go to structural_inference in place of the study's, e.g. --context 1024 --training-batch-size 16.
Interrupted or killed, the same command goes on: what is done is not done again; with other settings it is refused. Needs
NumPy. Without --program, scripts/demo.sh builds the program. Exit status: 0; 2 on bad input; else that of the program that
failed, 75 if it was interrupted.
"""

import sys

if sys.path and not sys.flags.safe_path:
    del sys.path[0]  # this folder: NumPy would take tokenize.py in it for the standard library's

import argparse
import json
import math
import os
import pathlib
import shutil
import subprocess

import numpy as np

SCRIPTS = pathlib.Path(__file__).resolve().parent
STUDY = {
    "--vocabulary": 5000, "--context": 256, "--width": 256, "--layers": 2, "--heads": 8,
    "--training-steps": 6104, "--training-batch-size": 64, "--learning-rate": 3e-3, "--tokens-per-domain": 4_000_000,
    "--chains": 4, "--draws": 200, "--localization": 300, "--batch-size": 4, "--probe-tokens": 512,
    "--evaluation-tokens": 8192,
}  # fmt: skip
IN_SUMMARY = {"--training-steps": "steps", "--training-batch-size": "batch_size", "--training-precision": "precision"}
OURS = ("--corpus", "--output", "--training-seed", "--data-seed", "--seed", "--run-directory", "--prepare", "--model")
MODES = 3  # principal components in the tables


def fail(text):
    print(f"reproduce.py: {text}", file=sys.stderr)
    sys.exit(2)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     allow_abbrev=False)
    parser.add_argument("corpus", type=pathlib.Path, help="a folder with a subfolder a domain, or 'synthetic'")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("reproduction"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of training")
    parser.add_argument("--program", type=pathlib.Path, help="structural_inference, already built")
    known, further = parser.parse_known_args()
    if str(known.corpus) != "synthetic" and not known.corpus.is_dir():
        fail(f"CORPUS is '{known.corpus}', must be a folder with a subfolder a domain")
    if len(set(known.seeds)) != len(known.seeds):
        fail(f"--seeds are {known.seeds}, must differ")
    if len(further) % 2 or any(not name.startswith("--") for name in further[::2]):
        fail(f"further settings are {' '.join(further)}, must be pairs of --NAME and VALUE")
    settings = dict(zip(further[::2], further[1::2]))
    for name in OURS:
        if name in settings:
            fail(f"{name} is chosen by this script")
    known.output = known.output.absolute()  # the programs may run in other folders
    if str(known.corpus) != "synthetic":
        known.corpus = known.corpus.absolute()
    return known, STUDY | {"--training-precision": precision(known)} | settings


def trained_with(weights):
    """What a file of trained weights says of its training; None if there is none to read."""
    try:
        with weights.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        return json.loads(header["__metadata__"]["training"])
    except (OSError, ValueError, KeyError, TypeError, MemoryError, OverflowError):
        return None


def precision(known):
    """That of weights that are there already; else bfloat16 where the CPU multiplies it faster than float32."""
    for seed in known.seeds:
        if found := trained_with(known.output / f"seed-{seed}" / "model.safetensors"):
            return found.get("precision", "single")
    try:
        flags = pathlib.Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return "single"
    return "bfloat16" if {"avx512_bf16", "amx_bf16"} & set(flags) else "single"


def call(command):
    print("+", " ".join(map(str, command)), flush=True)
    status = subprocess.run([*map(str, command)]).returncode
    if status:
        sys.exit(status if status > 0 else 128 - status)


def has_gpu():
    found = subprocess.run([sys.executable, "-c", "import torch, sys; sys.exit(not torch.cuda.is_available())"],
                           stderr=subprocess.DEVNULL, cwd="/")
    return found.returncode == 0


def load(folder):
    return json.loads((folder / "summary.json").read_text()) | {"folder": folder}


def check(run, settings, data_seed):
    """A run that is there already must be of these settings."""
    sampled, trained = run["settings"], {"precision": "single"} | run["settings"]["model"]
    for name, value in (settings | {"--data-seed": data_seed}).items():
        key = IN_SUMMARY.get(name, name[2:].replace("-", "_"))
        was = trained.get(key) if name in IN_SUMMARY else sampled.get(key, trained.get(key))
        try:
            same = float(was) == float(value)
        except (TypeError, ValueError):
            same = str(was) == str(value)
        if was is not None and not same:
            fail(f"{run['folder']} was made with {name} {was}, not {value}: remove it, or choose another --output")


def run(known, settings):
    """Trains and samples; the folders of results, the first training seed's with another sampling seed last."""
    program = [known.program] if known.program else ["sh", SCRIPTS / "demo.sh"]
    flat = [word for pair in settings.items() for word in pair]
    trained_elsewhere = has_gpu()
    folders = [known.output / f"seed-{seed}" for seed in known.seeds]
    again = known.output / f"seed-{known.seeds[0]}-again"
    for folder in (*folders, again):
        if (folder / "summary.json").exists():
            check(load(folder), settings, known.seeds[0])

    def infer(folder, training_seed, seed, *more):
        call([*program, "--corpus", known.corpus, "--output", folder, "--data-seed", known.seeds[0],
              "--training-seed", training_seed, "--seed", seed, *flat, *more])

    for training_seed, folder in zip(known.seeds, folders):
        if (folder / "summary.json").exists():
            continue
        if trained_elsewhere and not (folder / "model.safetensors").exists():
            infer(folder, training_seed, 1, "--prepare")
            call([sys.executable, SCRIPTS / "train.py", folder / "prepared"])
        infer(folder, training_seed, 1)
    if not (again / "summary.json").exists():
        again.mkdir(parents=True, exist_ok=True)
        if not (folders[0] / "model.safetensors").exists():
            fail(f"{folders[0]} has results but no model.safetensors, which is sampled again: remove the folder")
        shutil.copy(folders[0] / "model.safetensors", again)
        infer(again, known.seeds[0], 2)
    return [*folders, again]


def modes_of(run, how):
    found = run["principal_components"] and run["principal_components"].get(how)
    if not found:
        fail(f"{run['folder']}: there are no principal components, as all chains of a component diverged")
    return found["tokens"]


def array(run, name, how, last=""):
    suffix = "" if how == run["centring"] else f"_{how}"
    return np.load(run["folder"] / f"{name}{suffix}{last}.npy")


def susceptibilities(run, how):
    """(tokens, components): each token's."""
    return array(run, "token_susceptibilities", how)


def scores_of(run, how):
    return array(run, "principal_components", how, "_scores")


def centred(a):
    return a[:, :MODES] - a[:, :MODES].mean(axis=0)


def correlations(a, b):
    """|correlation| of each of the first modes' scores of one run with each of the other's, rows of the same tokens."""
    unit = [x / np.linalg.norm(x, axis=0) for x in map(centred, (a, b))]
    return np.abs(unit[0].T @ unit[1])


def angles(a, b):
    """Cosines of the angles between the spaces that the columns span (Bjorck, Golub 1973)."""
    return np.linalg.svd(np.linalg.qr(a)[0].T @ np.linalg.qr(b)[0], compute_uv=False)


def uniformity(loadings):
    return float(abs(np.sum(loadings)) / np.sqrt(len(loadings)))


def reliability(one, other, how):
    """Correlation over tokens of each component's susceptibilities in two samplings: the share of variance that is no noise."""
    a, b = (susceptibilities(run, how) for run in (one, other))
    return np.array([np.corrcoef(x, y)[0, 1] for x, y in zip(a.T, b.T)])


def errors_of_difference(one, other, name, how):
    """The difference of two samplings in its standard errors: root mean square, and the share beyond 1.96."""
    a, b = (array(run, name, how) for run in (one, other))
    errors = [array(run, name, how, "_error") for run in (one, other)]
    z = (a - b) / np.hypot(*errors)
    return {"root_mean_square": float(np.sqrt(np.mean(z**2))), "beyond_1.96": float(np.mean(np.abs(z) > 1.96))}


def shared_of(run):
    """What the full centring adds to each column: E_C[phi] times s, s the token's E_full[dL] less the mean of E_C[dL].

    Returns the |correlation| of s with the scores of the first mode, the share of the variance of the standardised columns
    along s, and the modes of what is left of them: share of variance and loadings."""
    phi = np.array([d["mean_observable"] for d in run["diagnostics"]])
    full = susceptibilities(run, "full")
    s = np.mean((full - susceptibilities(run, "restricted")) / phi, axis=1)
    s = (s - s.mean()) / np.linalg.norm(s - s.mean())
    columns = (full - full.mean(axis=0)) / full.std(axis=0)
    left = columns - np.outer(s, s @ columns)
    _, singular, loadings = np.linalg.svd(left, full_matrices=False)
    first = scores_of(run, "full")[:, 0]
    return {"correlation": float(abs(np.corrcoef(first, s)[0, 1])),
            "explained": float(1 - np.sum(left**2) / np.sum(columns**2)),
            "modes_left": [{"explained": float(singular[k] ** 2 / np.sum(columns**2)), "uniform": uniformity(loadings[k]),
                            "loadings": loadings[k].tolist()} for k in range(min(MODES, len(singular)))]}  # fmt: skip


def chance_of(run):
    """Probability that loadings without meaning separate the induction heads of the second layer from its others."""
    second = [head for head in run["heads"] if head["layer"] == 1 and head["name"] in run["components"]]
    induction = sum(head["induction"] for head in second)
    return 2 / math.comb(len(second), induction) if 0 < induction < len(second) else None


def number(x, digits=2):
    return "–" if x is None or x != x else f"{x:.{digits}f}".replace("-", "−")


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in lines) + "\n"


def tables(runs, again):
    """The text of tables.md, and its numbers."""
    parts, numbers = [], {"seeds": {}}
    names = [run["folder"].name.removeprefix("seed-") for run in runs]
    classes = runs[0]["token_patterns"] and runs[0]["token_patterns"]["full"]["classes"]

    parts.append("## Losses\nHeld-out, nats a token, mean over the domains.\n")
    rows = []
    for name, run in zip(names, runs):
        mean = {key: float(np.mean([l[key] for l in run["losses"]])) for key in ("model", "unigram", "bigram")}
        numbers["seeds"][name] = {"losses": mean, "heads": run["heads"]}
        rows.append([name, *(number(mean[key], 3) for key in mean)])
    parts.append(table(["seed", "model", "unigram", "bigram"], rows))

    for how in "full", "restricted":
        parts.append(f"## Modes, {how} centring\nPrincipal components of the per-token matrix (tokens x heads, standardised). "
                     "Uniform: |cosine| of the loadings with those that are all equal. AUC-L1: how well the loadings tell "
                     "induction heads (prefix score above .2) from the others of the second layer; by chance 1 with the "
                     "probability beside it.\n")
        rows = []
        for name, run in zip(names, runs):
            modes, chance = modes_of(run, how), chance_of(run)
            numbers["seeds"][name][how] = kept = []
            for k in range(min(MODES, len(modes["singular_values"]))):
                loadings = np.array(modes["loadings"][k])
                uniform = uniformity(loadings)
                kept.append({"singular_value": modes["singular_values"][k], "explained": modes["explained"][k],
                             "uniform": uniform, "auc_l1": modes["auc_l1"][k], "loadings": modes["loadings"][k]})
                rows.append([name, k + 1, number(modes["singular_values"][k], 1), number(100 * modes["explained"][k], 1),
                             number(uniform), number(modes["auc_l1"][k]), number(chance)])
        parts.append(table(["seed", "mode", "singular value", "% of variance", "uniform", "AUC-L1", "by chance"], rows))

        if classes:
            parts.append(f"Score of each class of tokens less that of all others, ± error, {how} centring.\n")
            rows = []
            for name, run in zip(names, runs):
                found = run["token_patterns"][how]
                numbers["seeds"][name].setdefault("classes", {"names": classes})[how] = {
                    key: found[key] for key in ("difference", "difference_error")}
                for k in range(min(MODES, len(found["difference"][0]))):
                    rows.append([name, k + 1, *(f"{number(found['difference'][q][k])} ± "
                                                f"{number(found['difference_error'][q][k])}" for q in range(len(classes)))])
            parts.append(table(["seed", "mode", *classes], rows))

    parts.append("## What all heads share\nThe full centring adds E_C[φ] (E_full[ΔL] − E_C[ΔL]) to the restricted one: a vector "
                 "over tokens that is nearly the same for all heads, s. |Correlation| of s with the scores of mode 1, the share "
                 "of the variance that lies along s, and the modes of what is left without it.\n")
    rows = []
    for name, run in zip(names, runs):
        numbers["seeds"][name]["shared"] = shared = shared_of(run)
        rows.append([name, number(shared["correlation"]), number(100 * shared["explained"], 1),
                     " ".join(number(100 * mode["explained"], 1) for mode in shared["modes_left"]),
                     " ".join(number(mode["uniform"]) for mode in shared["modes_left"])])
    parts.append(table(["seed", "s and mode 1", "% along s", "% of modes left",
                        "uniform, of modes left"], rows))

    parts.append("## Heads\nScores on repeated random tokens, loadings on the first modes, and the share of tokens that the head "
                 "expresses (χ < 0), ± error; full centring.\n")
    rows = []
    for name, run in zip(names, runs):
        loadings = dict(zip(run["components"], zip(*modes_of(run, "full")["loadings"][:MODES])))
        balance = {entry["component"]: entry for entry in run["sign_balance"]["full"]}
        numbers["seeds"][name]["sign_balance"] = run["sign_balance"]["full"]
        for head in run["heads"]:
            if head["name"] in loadings:
                rows.append([name, head["name"], number(head["prefix_matching"]), number(head["previous_token"]),
                             *(number(x) for x in loadings[head["name"]]),
                             f"{number(100 * balance[head['name']]['expressed_share'], 1)} ± "
                             f"{number(100 * balance[head['name']]['expressed_share_error'], 1)}"])
    parts.append(table(["seed", "head", "prefix matching", "previous token", *(f"mode {k + 1}" for k in range(MODES)),
                        "expressed, %"], rows))

    parts.append("## Agreement\nBetween training seeds heads cannot be matched, tokens can: |correlation| of the scores of mode "
                 "i of one run with mode j of the other, and the cosines of the angles between the spaces of the first "
                 "modes' scores.\n")
    rows = []
    numbers["agreement"] = []
    pairs = [(a, b) for a in range(len(runs)) for b in range(a)] + [(None, 0)]
    for how in "full", "restricted":
        for a, b in pairs:
            one = again if a is None else runs[a]
            label = f"{names[b]}, sampled again" if a is None else f"{names[b]}, {names[a]}"
            of_both = [scores_of(x, how) for x in (one, runs[b])]
            same, cosines = correlations(*of_both), angles(*map(centred, of_both))
            numbers["agreement"].append({"seeds": label, "centring": how, "correlations": same.tolist(),
                                         "angles": cosines.tolist()})
            rows.append([how, label, *(" ".join(number(x) for x in row) for row in same.T),
                         " ".join(number(x) for x in cosines)])
    parts.append(table(["centring", "runs", *(f"mode {k + 1} with 1 to {len(same)}" for k in range(len(same.T))), "angles"],
                       rows))
    parts.append(f"Correlation over tokens of a head's susceptibilities in the two samplings of seed {names[0]}: the share of "
                 "their variance that is no noise of the chains. Lowest, mean and highest of the heads.\n")
    numbers["reliability"] = {how: reliability(runs[0], again, how).tolist() for how in ("full", "restricted")}
    rows = [[how, *(number(f(of)) for f in (min, np.mean, max))] for how, of in numbers["reliability"].items()]
    parts.append(table(["centring", "lowest", "mean", "highest"], rows))
    parts.append("Difference between the two samplings in its standard errors: 1, and 5 %, if the errors are right.\n")
    rows = []
    numbers["errors"] = {}
    for how in "full", "restricted":
        for name, of in [("token_susceptibilities", "χ of tokens"), ("response_matrix", "χ of probes")]:
            numbers["errors"].setdefault(how, {})[name] = found = errors_of_difference(runs[0], again, name, how)
            rows.append([how, of, number(found["root_mean_square"]), number(100 * found["beyond_1.96"], 1)])
    parts.append(table(["centring", "of", "root mean square", "% beyond 1.96"], rows))

    warnings = {name: run["warnings"] for name, run in zip([*names, f"{names[0]} again"], [*runs, again]) if run["warnings"]}
    numbers["warnings"] = warnings
    if warnings:
        parts.append("## Warnings\n")
        parts.append("".join(f"- seed {name}: {text}\n" for name, texts in warnings.items() for text in texts))
    return "\n".join(parts), numbers


def write(path, text):
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text)
    os.replace(partial, path)


def main():
    known, settings = arguments()
    folders = run(known, settings)
    *runs, again = map(load, folders)
    for one in (*runs, again):
        if (one["folder"] / "tokens.npy").read_bytes() != (folders[0] / "tokens.npy").read_bytes():
            fail(f"{one['folder']} has other tokens than {folders[0]}: CORPUS has changed; choose another --output")
    text, numbers = tables(runs, again)
    said = " ".join(f"{name} {value}" for name, value in settings.items())
    write(known.output / "tables.md", f"# Tables of {len(runs)} trainings\n\n`{said}`\n\n{text}")
    write(known.output / "tables.json", json.dumps({"settings": settings, **numbers}, indent=1) + "\n")
    print(f"\nTables in {known.output / 'tables.md'}")


if __name__ == "__main__":
    main()
