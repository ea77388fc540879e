"""What compare.py measures: phases in turn, the whole job with its agreement, and the time to a given error."""

import contextlib
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time

import agreement
import numpy as np
from compare import run, settings_file

here = pathlib.Path(__file__).resolve().parent
PHASES = {
    "step l0h3": "restricted step, head of layer 0",
    "shared l0h3": "  its minibatch shared by 4 chains",
    "step l1h3": "restricted step, head of layer 1",
    "shared l1h3": "  its minibatch shared by 4 chains",
    "step full": "full step",
    "evaluation plain": "probe evaluation",
    "evaluation l0h3": "  with the upstream of l0h3 frozen",
    "evaluation l1h3": "  with the upstream of l1h3 frozen",
}


class Side:
    """A program that times phases on request, and is stopped in between, as its waiting threads may spin."""

    def __init__(self, command, settings, o, name):
        self.losses = str(o.output / f"{name}_losses.npy")
        file = settings_file(o, name, settings | {"losses": self.losses})
        command = [str(c) for c in (*command, "phases", file)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            self.end()
            sys.exit(f"compare.py: could not start {' '.join(command)}")
        self.process.send_signal(signal.SIGSTOP)

    def seconds(self, phase, threads, count):
        self.process.send_signal(signal.SIGCONT)
        print(json.dumps([phase, threads, count]), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        self.process.send_signal(signal.SIGSTOP)
        return json.loads(answer) if answer else sys.exit(f"compare.py: {self.losses} stopped during '{phase}'")

    def end(self):
        self.process.kill()  # ends a stopped program too
        self.process.wait()


def phases(o, settings, ours):
    """Seconds of each phase in turn. Neither program outlives it, however it ends."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with contextlib.ExitStack() as at_the_end:

        def side(name, command):
            started = Side(command, settings, o, name)
            at_the_end.callback(started.end)
            return started

        return time_phases(o, {"susc": side("susc", [ours]),
                               "devinterp": side("devinterp", [sys.executable, here / "peer.py"])})  # fmt: skip


def time_phases(o, sides):
    losses = [np.load(side.losses) for side in sides.values()]
    difference = float(np.abs(losses[0] - losses[1]).max())
    print(f"Losses of {losses[0].size} tokens at the same weights: largest difference {difference:.1e}", flush=True)
    if not difference < 1e-4:
        sys.exit("compare.py: the two models are not the same: nothing is timed")
    table = {"largest_loss_difference": difference, "tokens": losses[0].size, "rows": []}
    print(f"\n{losses[0].size} tokens; medians of {o.repeats}; cpu: processor time, less affected by other programs")
    print(f"{'':36}threads | susc: ms   cpu ms tokens/s | devinterp: ms   cpu ms tokens/s | ratio  of cpu")
    for threads in o.threads:
        peer = {}
        for phase, label in PHASES.items():
            stand_in = None  # what the peer does instead, having no form of this phase
            if phase.startswith("evaluation l"):
                stand_in = "evaluation plain"
            elif phase.startswith("shared"):
                stand_in = phase.replace("shared", "step")
            able = {name: side for name, side in sides.items() if name == "susc" or not stand_in}
            counts = {n: max(2, round(0.4 / s.seconds(phase, threads, 2)[1])) for n, s in able.items()}
            times = {name: [] for name in able}
            for _ in range(o.repeats):
                for name, side in able.items():
                    times[name].append(side.seconds(phase, threads, counts[name]))
            row = {"phase": phase, "threads": threads, "seconds": times}
            medians = {name: [statistics.median(t) for t in zip(*of)] for name, of in times.items()}
            line = f"{label:36}{threads:7} |"
            for name in sides:
                wall, cpu = medians.get(name) or peer[stand_in]
                line += f" {1e3 * wall:8.2f} {1e3 * cpu:8.2f} {losses[0].size / wall:8.0f} |" + 5 * " " * (name == "susc")
                row[name] = {"wall": wall, "cpu": cpu, "tokens_per_second": losses[0].size / wall}
            if not stand_in:
                peer[phase] = medians["devinterp"]
            row["ratio"], row["cpu_ratio"] = (row["devinterp"][k] / row["susc"][k] for k in ("wall", "cpu"))
            table["rows"].append(row)
            print(f"{line} {row['ratio']:5.1f} {row['cpu_ratio']:7.1f}{'  (peer: plain)' if stand_in else ''}", flush=True)
        own = {r["phase"]: r["susc"] for r in table["rows"] if r["threads"] == threads}
        for layer, head in ((0, "l0h3"), (1, "l1h3")):
            ratios = {}
            for i, clock in enumerate(("wall", "cpu")):
                theirs = peer[f"step {head}"][i] + peer["evaluation plain"][i]
                ratios[clock] = theirs / (own[f"shared {head}"][clock] + own[f"evaluation {head}"][clock])
            table.setdefault("step_and_evaluation", {})[f"{head}, {threads} threads"] = ratios
            print(f"  as a chain does them, step and evaluation, head of layer {layer}, {threads} threads: ratio "
                  f"{ratios['wall']:.1f}, of cpu {ratios['cpu']:.1f}")  # fmt: skip
    print("devinterp can neither freeze what is upstream nor share a minibatch: its plain step and evaluation stand in "
          "those rows.\n")  # fmt: skip
    return table


def measured(command, threads=2):
    """Seconds, processor seconds and peak memory in MB of a child; its standard output."""
    environment = os.environ | {"TQDM_DISABLE": "1", "OMP_NUM_THREADS": str(threads)}
    start = time.perf_counter()
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True, env=environment)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{output}\ncompare.py: failed with status {process.returncode}: {' '.join(map(str, command))}")
    cpu = usage.ru_utime + usage.ru_stime
    return {"seconds": time.perf_counter() - start, "cpu": cpu, "megabytes": usage.ru_maxrss / 1024}, output


def whole(o, s, example):
    results = o.output / "results"
    options = {"sampler": "sgld", "model": s["model"], "pretraining": s["pretraining"], "n-beta": s["n_beta"],
               "draws": s["draws"], "localization": s["localization"], "step-size": s["step_size"],
               "chains": s["chains"], "burn-in": s["burn_in"], "batch-size": s["batch_size"],
               "evaluation-tokens": s["evaluation_tokens"], "threads": s["threads"], "output": results}  # fmt: skip
    command = [example, *(str(x) for name, value in options.items() for x in (f"--{name}", value))]
    command += [x for name, file in s["probes"].items() for x in ("--probe", f"{name}={file}")]
    draws = o.output / "devinterp.npz"
    file = settings_file(o, "whole", s | {"output": str(draws), "threads": o.peer_threads})
    report = {"susc": [], "devinterp": []}
    for _ in range(o.whole_repeats):
        report["susc"].append(measured(command)[0])
        usage, output = measured([sys.executable, here / "peer.py", "whole", file], o.peer_threads)
        report["devinterp"].append(usage | json.loads(output.splitlines()[-1]))
    imports = f"import sys; sys.path.insert(0, {str(here)!r}); import peer"
    report["imports"] = measured([sys.executable, "-c", imports])[0]

    summary = json.loads((results / "summary.json").read_text())
    if summary["probes"] != list(s["probes"]) or summary["components"] != s["components"]:
        sys.exit("compare.py: the two runs have other probes or components")
    for ours, theirs in (("localization", "all_localization"), ("step_size", "all_step_size")):
        if abs(summary["all_weights"][ours] / s[theirs] - 1) > 1e-6:
            sys.exit(f"compare.py: the chains with all weights free have another {ours}")
    median = {side: {k: statistics.median(r[k] for r in runs) for k in ("seconds", "cpu", "megabytes")}
              for side, runs in report.items() if side != "imports"}  # fmt: skip
    report["median"] = median
    print(f"\nWhole job: {s['chains']} chains of {s['burn_in']} + {s['draws']} steps of {len(s['components'])} heads and "
          f"of all weights; {s['threads']} threads, devinterp {o.peer_threads}")  # fmt: skip
    for side, m in median.items():
        print(f"  {side:10} {m['seconds']:8.1f} s  {m['cpu']:8.1f} cpu s  {m['megabytes']:7.0f} MB")
    print("  ratio     " + "  ".join(f"{median['devinterp'][k] / median['susc'][k]:8.1f}" for k in median["susc"]))
    print(f"  devinterp's imports alone: {report['imports']['seconds']:.0f} s, {report['imports']['megabytes']:.0f} MB")

    tokens = np.load(results / "tokens.npy")[:, 0]
    groups = [np.flatnonzero(tokens == i) for i in range(len(s["probes"]))]
    peer = np.load(draws)
    per_token, per_probe = agreement.peer_estimates(peer, groups)
    formula = float(np.abs(per_token[0] - peer["chi"]).max() / np.abs(peer["chi"]).max())
    ours = {name: tuple(np.load(results / f"{name}{end}.npy") for end in ("", "_error"))
            for name in ("response_matrix", "token_susceptibilities")}  # fmt: skip
    free = tuple(np.array([d[k] for d in summary["diagnostics"]]) for k in ("mean_observable", "mean_observable_error"))
    observable = tuple(np.array(column) for column in zip(*(agreement.mean_observable(p) for p in peer["phi"][1:])))
    report["agreement"] = {
        "response matrix": agreement.compare(ours["response_matrix"], per_probe),
        "per token": agreement.compare(ours["token_susceptibilities"], per_token),
        "E[phi]": agreement.compare(free, observable),
        "formula": formula,
    }
    print(f"\nAgreement (z: difference in combined errors; our formula on its draws gives its numbers to {formula:.0e})")
    for name in ("response matrix", "per token", "E[phi]"):
        a = report["agreement"][name]
        print(f"  {name:16} {a['numbers']:6} numbers: largest |z| {a['largest_z']:.2f}, "
              f"mean z² {a['mean_square_z']:.2f}, |z| > 1.96: {100 * a['beyond_1.96']:.1f} %, > 4: {a['beyond_4']}, slope {a['slope']:.2f}")  # fmt: skip
    last = report["devinterp"][-1]
    print(f"  devinterp's own initial loss, of a random minibatch, is {last['initial_loss']:.4f}; that of the evaluation "
          f"set is {last['center_loss']:.4f}, which is what phi is counted from here")  # fmt: skip
    return report, {"devinterp": per_probe, "susc": ours["response_matrix"]}


def efficiency(o, s, ours, report, estimates):
    """Seconds times the median squared error of the response matrix, also relative to the matrix's mean square."""
    step = o.best_step * s["step_size"], o.best_step * s["all_step_size"]
    best = s | {"sampler": "leimkuhler_matthews", "step_size": step[0], "all_step_size": step[1]}
    # The reference for the bias: a step at which it is small.
    small = s | {"sampler": "leimkuhler_matthews", "step_size": s["step_size"] / 4,
                 "all_step_size": s["all_step_size"] / 4, "thinning": 4, "burn_in": 4 * s["burn_in"], "seed": 2}  # fmt: skip
    usage, output = measured([ours, "sample", settings_file(o, "best", best)])
    found, reference = json.loads(output), json.loads(run(ours, "sample", settings_file(o, "reference", small)))
    rows = {
        "devinterp, SGLD": (report["median"]["devinterp"], *estimates["devinterp"]),
        "susc, SGLD": (report["median"]["susc"], *estimates["susc"]),
        f"susc, Leimkuhler-Matthews, step x {o.best_step:g}": (usage, *(np.array(found[k]) for k in ("value", "error"))),
    }
    exact = np.array(reference["value"])
    table = {}
    print("\nTime to a given error of the response matrix: T = seconds x median squared error")
    for name, (usage, value, error) in rows.items():
        square = float(np.median(error**2))
        slope = float(np.sum(value * exact) / np.sum(exact**2))
        row = {"seconds": usage["seconds"], "cpu": usage["cpu"], "median_squared_error": square, "slope": slope,
               "T": usage["seconds"] * square, "relative_T": usage["seconds"] * square / float(np.mean(value**2)),
               "cpu_relative_T": usage["cpu"] * square / float(np.mean(value**2))}  # fmt: skip
        table[name] = row
        first = next(iter(table.values()))
        print(f"  {name:42} {row['seconds']:7.1f} s  error² {square:.2e}  T ratio {first['T'] / row['T']:7.1f}, "
              f"relative {first['relative_T'] / row['relative_T']:7.1f}, of cpu seconds "
              f"{first['cpu_relative_T'] / row['cpu_relative_T']:7.1f}; size {slope:.2f} of the reference")  # fmt: skip
    return table
