"""How far builds by other compilers, for other instruction sets and with other optimisation are apart: the tables of
docs/reproducibility.md. Each build measures at the same trained weights, those of the first, and trains for 1000 steps.

Usage: reproducibility.py [WORK]   (programs and numbers stay in WORK if it is given; minutes a build)
"""
import array
import math
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILDS = {  # the first is what the others are compared with
    "g++ -O3 -march=native": ["g++", "-O3", "-march=native"],
    "g++ -O3 -march=x86-64-v3": ["g++", "-O3", "-march=x86-64-v3"],
    "g++ -O3 -march=native -ffp-contract=off": ["g++", "-O3", "-march=native", "-ffp-contract=off"],
    "g++ -O3 (SSE2)": ["g++", "-O3"],
    "clang++ -O3 -march=native": ["clang++", "-O3", "-march=native"],
}
STEPS, TRAINING_STEPS = (1, 10, 100, 400, 1000), (1, 10, 100, 1000)


def run(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return done.stdout


def build(options, to):
    if to.exists():
        return
    flags = []
    for dependency in ["eigen3", "xtensor", "xsimd", "nlohmann_json"]:
        flags += subprocess.run(["pkg-config", "--cflags", dependency], capture_output=True, text=True).stdout.split()
    contract = [] if any("contract" in o for o in options) else ["-ffp-contract=fast"]
    run(options[0], "-std=c++20", *options[1:], *contract, "-pthread", f"-I{ROOT / 'include'}", *flags,
        ROOT / "scripts/reproducibility.cpp", "-o", to)  # fmt: skip


def numbers(folder, name):
    values = array.array("d")
    values.frombytes((folder / f"{name}.f64").read_bytes())
    return values


def root_mean_square(values):
    values = list(values)
    return math.sqrt(sum(v * v for v in values) / len(values))


def differences(a, b):
    assert len(a) == len(b)
    return [x - y for x, y in zip(a, b)]


def text(value):
    return "0" if value == 0 else f"{value:.1e}"


def table(title, columns, rows):
    print(f"\n{title}\n\n| build | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for name, cells in rows:
        print(f"| `{name}` | {' | '.join(cells)} |", flush=True)


def compare(first, other):
    """Cells of the first table."""
    cells = ["the same" if numbers(first, "tokens") == numbers(other, "tokens") else "differ"]
    cells.append(text(max(map(abs, differences(numbers(first, "normals"), numbers(other, "normals"))))))
    cells.append(text(max(map(abs, differences(numbers(first, "losses"), numbers(other, "losses"))))))
    g = numbers(first, "gradient")
    cells.append(text(root_mean_square(differences(g, numbers(other, "gradient"))) / root_mean_square(g)))
    return cells


def trajectory(first, other, component):
    """The distance of two chains after so many steps, in parts of their distance from the trained weights."""
    start, cells = numbers(first, f"{component}_0"), []
    for steps in STEPS:
        a, b = numbers(first, f"{component}_{steps}"), numbers(other, f"{component}_{steps}")
        cells.append(text(root_mean_square(differences(a, b)) / root_mean_square(differences(a, start))))
    return cells


def response(first, other, centring):
    cells = []
    for matrix in "chi", "token_chi":
        a, b = numbers(first, f"{centring}_{matrix}"), numbers(other, f"{centring}_{matrix}")
        error, others = numbers(first, f"{centring}_{matrix}_error"), numbers(other, f"{centring}_{matrix}_error")
        cells.append(text(max(abs(x - y) / e for x, y, e in zip(a, b, error))))
        cells.append(text(max(abs(x / e - 1) for x, e in zip(others, error))))
    a, b = numbers(first, f"{centring}_loadings"), numbers(other, f"{centring}_loadings")
    cells.append(text(max(map(abs, differences(a, b)))))
    a, b = numbers(first, f"{centring}_auc"), numbers(other, f"{centring}_auc")
    cells.append("the same" if a == b else text(max(map(abs, differences(a, b)))))
    return cells


def main(work):
    programs = {}
    for number, (name, options) in enumerate(BUILDS.items()):
        programs[name] = work / f"build{number}"
        build(options, programs[name])
        print(f"built {name}", file=sys.stderr, flush=True)
    folders = {}
    for name, program in programs.items():
        folders[name] = folder = work / f"{program.name}.numbers"
        model = folders[next(iter(folders))] / "model.safetensors"
        if not model.exists():
            run(program, "train", folder)
        if not (folder / "training_losses.f64").exists():
            run(program, "train", folder, TRAINING_STEPS[-1])
        if not (folder / "shared/restricted_auc.f64").exists():
            run(program, "measure", model, folder / "shared")
        print(f"measured {name}", file=sys.stderr, flush=True)
    reference, *others = BUILDS
    shared = {name: folder / "shared" for name, folder in folders.items()}
    first = shared[reference]
    auc = numbers(first, "full_auc")
    print(f"Compared with `{reference}`: {int(sum(numbers(first, 'induction')))} induction heads, AUC within the second "
          f"layer {auc[1]:.2f}, {auc[3]:.2f}, {auc[5]:.2f}")  # fmt: skip
    table("At the same weights", ["tokens", "normals, largest", "token losses, largest (nats)", "gradient, rms of its own"],
          [(name, compare(first, shared[name])) for name in others])  # fmt: skip
    for component in "l1h7", "full":
        table(f"Distance of two chains of `{component}` after so many steps, over that from w*", [str(s) for s in STEPS],
              [(name, trajectory(first, shared[name], component)) for name in others])  # fmt: skip
    columns = ["χ / error", "error, relative", "token χ / error", "error, relative", "loadings of PC1 to 3", "AUC of PC1 to 3"]
    for centring in "full", "restricted":
        table(f"Largest difference of the results, {centring} centring", columns,
              [(name, response(first, shared[name], centring)) for name in others])  # fmt: skip
    start, rows = numbers(folders[reference], "weights_0"), []
    losses = numbers(folders[reference], "training_losses")
    for name in others:
        cells = []
        for steps in TRAINING_STEPS:
            a, b = numbers(folders[reference], f"weights_{steps}"), numbers(folders[name], f"weights_{steps}")
            cells.append(text(root_mean_square(differences(a, b)) / root_mean_square(differences(a, start))))
        mean = [sum(l[TRAINING_STEPS[-1] - 100 : TRAINING_STEPS[-1]]) / 100
                for l in (numbers(folders[name], "training_losses"), losses)]  # fmt: skip
        rows.append((name, [*cells, f"{mean[0] - mean[1]:+.4f}"]))
    table("Distance of two trainings after so many steps, over that from the start",
          [*map(str, TRAINING_STEPS), "loss of the last 100 steps, difference"], rows)  # fmt: skip


if len(sys.argv) > 1:
    pathlib.Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    main(pathlib.Path(sys.argv[1]))
else:
    with tempfile.TemporaryDirectory() as folder:
        main(pathlib.Path(folder))
