#!/usr/bin/env python3
"""The same work in susc and in devinterp 2 on the processor: seconds, memory, and whether the numbers agree.

    python3 benchmarks/peer/compare.py                  after scripts/demo.sh: with the model in results/
    python3 benchmarks/peer/compare.py --work paper     phases only, at the paper's size

Builds susc, makes a virtual environment with devinterp where there is none, runs both in turn. README.md beside this
file says what is compared. Needs no package: it continues in the virtual environment's Python.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import time

here = pathlib.Path(__file__).resolve().parent
checkout = here.parents[1]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--work", choices=["small", "paper"], default="small")
    add("--results", type=pathlib.Path, default=checkout / "results", help="small: an earlier run of scripts/demo.sh; "
        "a model is trained for a minute where this folder has none (default results)")  # fmt: skip
    add("--model", help="small: another model, safetensors; with --pretraining and --probe, as structural_inference")
    add("--pretraining", help="with --model: .npy of token ids")
    add("--probe", action="append", default=[], metavar="NAME=FILE", help="with --model, repeated: .npy of token ids")
    add("--stages", default="phases,whole,efficiency", help="any of phases, whole, efficiency (default all)")
    add("--threads", type=int, nargs="+", default=[1, 2], help="of the phases (default 1 2)")
    add("--repeats", type=int, default=5, help="of the phases, in turn (default 5)")
    add("--whole-repeats", type=int, default=1, help="of the whole job, in turn (default 1)")
    add("--chains", type=int, default=4)
    add("--draws", type=int, default=100)
    add("--burn-in", type=int, default=20)
    add("--best-step", type=float, default=2, help="efficiency: step size of our best sampler times localization")
    add("--peer-threads", type=int, default=2, help="of devinterp in the whole job (default 2)")
    add("--venv", type=pathlib.Path, default=here / ".venv", help="devinterp's virtual environment, made if missing")
    add("--build", type=pathlib.Path, default=checkout / "build-peer", help="our build folder, made if missing")
    add("--output", type=pathlib.Path, help="folder of all files made (default benchmarks/peer/work/WORK)")
    o = parser.parse_args()
    if unknown := set(o.stages.split(",")) - {"phases", "whole", "efficiency"}:
        parser.error(f"--stages has no {', '.join(sorted(unknown))}; it has phases, whole, efficiency")
    return o


def run(*command, **options):
    """Runs a command; ends with its output if it fails."""
    command = [str(c) for c in command]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    if done.returncode:
        sys.exit(f"{done.stdout}\ncompare.py: failed with status {done.returncode}: {' '.join(command)}")
    return done.stdout


def into_environment(venv):
    """Continues in the Python that has devinterp."""
    python = venv.absolute() / "bin/python"
    if pathlib.Path(sys.prefix) == venv.absolute():
        return
    if not python.exists():
        print(f"Installing devinterp into {venv}", flush=True)
        run(sys.executable, "-m", "venv", venv)
    if subprocess.run([python, "-c", "import devinterp"], capture_output=True).returncode:
        run(python, "-m", "pip", "install", "--quiet", "devinterp==2.*")
    os.execv(python, [str(python), *sys.argv])


def build(folder):
    if not (folder / "build.ninja").exists():
        run("meson", "setup", folder, checkout, "-Dnative=true", "-Dbenchmarks=enabled", "-Dtests=false")
    print("Building susc", flush=True)
    run("ninja", "-C", folder, "benchmarks/bench_peer", "examples/structural_inference")
    return folder / "benchmarks/bench_peer", folder / "examples/structural_inference"


def prepare(o, ours, example):
    """The settings of both sides, with all files of the work written."""
    import numpy as np
    from safetensors import safe_open

    s = {"n_beta": 30, "localization": 200, "step_size": 1 / 200, "batch_size": 8, "chains": o.chains, "draws": o.draws,
         "burn_in": o.burn_in, "thinning": 1, "seed": 1, "threads": 2, "evaluation_tokens": 1024, "probes": {},
         "common_minibatches": True}  # fmt: skip
    if o.work == "paper":
        run(ours, "make", o.output)
        s |= {"model": str(o.output / "model.safetensors"), "pretraining": str(o.output / "pretraining.npy")}
        s["batch_size"] = 4
    elif o.model:
        if not o.pretraining or not o.probe:
            sys.exit("compare.py: --model needs --pretraining FILE.npy and --probe NAME=FILE.npy")
        probes = dict(sorted(p.partition("=")[::2] for p in o.probe))
        for file in (o.model, o.pretraining, *probes.values()):
            if not pathlib.Path(file).is_file():
                sys.exit(f"compare.py: '{file}' is no file; --probe is NAME=FILE.npy")
        s |= {"model": o.model, "pretraining": o.pretraining, "probes": probes}
    else:
        folder = o.results
        needed = ("model.safetensors", "pretraining.npy", "tokens.npy", "summary.json")
        if not all((folder / name).exists() for name in needed):
            folder = o.output / "trained"
            print(f"{o.results} has no run of scripts/demo.sh: training a model for a minute", flush=True)
            run(example, "--training-steps", 600, "--chains", 1, "--draws", 2, "--burn-in", 0, "--components", "l0h0",
                "--output", folder)  # fmt: skip
        names = json.loads((folder / "summary.json").read_text())["probes"]
        for name in ("model.safetensors", "pretraining.npy"):
            shutil.copy(folder / name, o.output)
        s |= {"model": str(o.output / "model.safetensors"), "pretraining": str(o.output / "pretraining.npy")}
        tokens, first = np.load(folder / "tokens.npy"), np.load(s["pretraining"])[0, 0]
        for i, name in sorted(enumerate(names), key=lambda item: item[1]):
            _, row, position, token = tokens[tokens[:, 0] == i].T  # tokens.npy has no first tokens, all the same
            probe = np.full((row.max() + 1, position.max() + 1), first, np.int32)
            probe[row, position] = token
            s["probes"][name] = str(o.output / f"probe_{name}.npy")
            np.save(s["probes"][name], probe)
    s["batch"] = str(o.output / "batch.npy")
    np.save(s["batch"], np.load(s["pretraining"])[: s["batch_size"]])
    with safe_open(s["model"], framework="np") as file:
        sizes = {name: file.get_tensor(name).size for name in file.keys()}
        heads, width, head_width = file.get_tensor("blocks.0.attn.W_Q").shape
    layers = sum(name.endswith("attn.W_Q") for name in sizes)
    s["components"] = [f"l{layer}h{head}" for layer in range(layers) for head in range(heads)]
    ratio = sum(sizes.values()) / (4 * width * head_width + 3 * head_width)
    s |= {"all_localization": s["localization"] * ratio, "all_step_size": s["step_size"] / ratio}
    s["evaluation"] = str(o.output / "evaluation.npy")
    run(ours, "evaluation", settings_file(o, "data", s), s["evaluation"])
    return s


def settings_file(o, name, settings):
    file = o.output / f"{name}.json"
    file.write_text(json.dumps(settings, indent=1))
    return file


def machine():
    import importlib.metadata

    names = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    versions = {name: importlib.metadata.version(name) for name in ("devinterp", "torch", "numpy")}
    commit = run("git", "-C", checkout, "describe", "--always", "--dirty").strip()
    return {"cpu": names[0] if names else platform.processor(), "cores": os.cpu_count(),
            "date": time.strftime("%Y-%m-%d"), "susc": commit, **versions, "load_before": os.getloadavg()[0]}  # fmt: skip


def main():
    o = arguments()
    into_environment(o.venv)
    import measure

    o.output = (o.output or here / "work" / o.work).absolute()
    o.output.mkdir(parents=True, exist_ok=True)
    ours, example = build(o.build.absolute())
    settings = prepare(o, ours, example)
    report = {"work": o.work, "machine": machine(), "settings": settings}
    print(json.dumps(report["machine"]), flush=True)
    stages = o.stages.split(",")
    if o.work == "paper":
        stages = [stage for stage in stages if stage == "phases"]
    if "phases" in stages:
        report["phases"] = measure.phases(o, settings, ours)
    if "whole" in stages or "efficiency" in stages:
        report["whole"], estimates = measure.whole(o, settings, example)
    if "efficiency" in stages:
        report["efficiency"] = measure.efficiency(o, settings, ours, report["whole"], estimates)
    report["machine"]["load_after"] = os.getloadavg()[0]
    before, after = (report["machine"][f"load_{when}"] for when in ("before", "after"))
    print(f"Load of the machine: {before:.1f} before, {after:.1f} after"
          + (": other programs ran, so the times are provisional" if before > 1 else ""))  # fmt: skip
    (o.output / "compare.json").write_text(json.dumps(report, indent=1))
    print(f"All numbers: {o.output / 'compare.json'}")


if __name__ == "__main__":
    main()
