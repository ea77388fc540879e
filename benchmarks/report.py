#!/usr/bin/env python3
"""Tables of what the benchmarks measured, in Markdown. Standard library only.

  report.py A        every benchmark: median time, rate, fraction of the peak, speed in units of Eigen's and of loops'
  report.py A B      how much faster B is than A, benchmark by benchmark, and the geometric means

A and B are files written by --benchmark_out=FILE, or folders of them. Run with --benchmark_repetitions=9 or so: the
medians are compared, and the spread between repetitions is the measure of what a difference may mean by chance.
"""
import json
import math
import pathlib
import statistics
import sys

METHODS = ["ours", "Eigen", "loops"]
SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}


class Unusable(Exception):
    """A run that cannot be read; the text says why."""


class Benchmark:
    """The repetitions of one benchmark."""

    def __init__(self, name):
        problem, _, method = name.removesuffix("/real_time").rpartition("/")
        if method not in METHODS:  # not compared with anything: ours
            problem, method = name.removesuffix("/real_time"), "ours"
        self.problem, self.method, self.unit = problem, method, "calls/s"
        self.seconds, self.rates, self.fractions, self.speed_ups, self.error = [], [], [], [], None

    def add(self, entry, where):
        if entry.get("error_occurred"):
            self.error = entry.get("error_message", "failed")
            return
        try:
            clock = "real_time" if entry["name"].endswith("/real_time") else "cpu_time"
            self.seconds.append(entry[clock] * SECONDS[entry["time_unit"]])
        except KeyError as missing:
            raise Unusable(f"{where}: {entry['name']} has no usable {missing}: not written by --benchmark_out?") from None
        self.unit = next((key for key in entry if key.endswith("/s")), "calls/s")
        if self.seconds[-1] <= 0 or entry.get(self.unit, 1) <= 0:
            raise Unusable(f"{where}: {entry['name']} took no time: raise --benchmark_min_time")
        self.rates.append(entry.get(self.unit, 1 / self.seconds[-1]))
        self.fractions.append(entry.get("of_peak"))
        self.speed_ups.append(entry.get("speed_up"))

    def rate(self):
        return statistics.median(self.rates)

    def spread(self):
        """Standard deviation of one repetition's rate, relative; None for a single one."""
        return statistics.stdev(self.rates) / statistics.mean(self.rates) if len(self.rates) > 1 else None


def files_of(argument):
    path = pathlib.Path(argument)
    if not path.exists():
        raise Unusable(f"{path}: there is no such file or folder")
    found = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not found:
        raise Unusable(f"{path}: the folder has no *.json")
    return found


def read(argument):
    """{name: Benchmark}, {what the run says of its machine}."""
    run, context = {}, {}
    for file in files_of(argument):
        try:
            content = json.loads(file.read_text())
        except (ValueError, OSError) as problem:
            raise Unusable(f"{file}: not JSON: {problem}") from None
        try:
            context.update({key: content.get("context", {}).get(key) for key in ("host_name", "compiler", "float_lanes")})
            for entry in content["benchmarks"]:
                if entry.get("run_type") != "aggregate":
                    run.setdefault(entry["run_name"], Benchmark(entry["run_name"])).add(entry, file)
        except (AttributeError, KeyError, TypeError):
            raise Unusable(f"{file}: has no list \"benchmarks\" of runs: not written by --benchmark_out?") from None
    if not run:
        raise Unusable(f"{argument}: no repetitions in it (was it run with --benchmark_report_aggregates_only?)")
    return run, context


def si(value, unit):
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n")):
        if abs(value) >= factor or factor == 1e-9:
            return f"{value / factor:.3g} {prefix}{unit}"


def table(header, rows):
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [[cell.ljust(width) for cell, width in zip(row, widths)] for row in [header, *rows]]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def wrong(*runs):
    """A line for each benchmark that failed."""
    return [f"{name}: {b.error}" for run in runs for name, b in run.items() if b.error]


def one_run(run):
    rows, problems = [], {}
    for b in run.values():
        if b.seconds and not b.error:
            problems.setdefault(b.problem, {})[b.method] = b
    for problem, by in problems.items():
        shown = by.get("ours") or next(iter(by.values()))
        fraction = "" if None in shown.fractions else f"{100 * statistics.median(shown.fractions):.0f} %"
        if None not in shown.speed_ups:
            fraction = f"{statistics.median(shown.speed_ups):.2f} of 1 thread"
        ratios = [f"{shown.rate() / by[m].rate():.2f}" if m in by and by[m] is not shown else "" for m in METHODS[1:]]
        spread = "" if shown.spread() is None else f"{100 * shown.spread():.1f} %"
        rows.append([problem, si(statistics.median(shown.seconds), "s"), si(shown.rate(), shown.unit), fraction, *ratios,
                     spread, str(len(shown.rates))])
    header = ["benchmark", "time", "rate", "of peak", "ours/Eigen", "ours/loops", "spread", "repetitions"]
    return table(header, rows)


def two_runs(a, b):
    common = [name for name in a if name in b and a[name].rates and b[name].rates and not (a[name].error or b[name].error)]
    if not common:
        raise Unusable("the two runs have no benchmark in common that succeeded in both")
    rows, logarithms = [], {}
    for name in common:
        before, after = a[name], b[name]
        ratio = after.rate() / before.rate()
        logarithms.setdefault(before.method, []).append(math.log(ratio))
        spread, mark = "", ""
        if before.spread() is not None and after.spread() is not None:
            error = ratio * math.hypot(before.spread(), after.spread())
            spread, mark = f"{error:.3f}", "*" if abs(ratio - 1) > 2 * error else ""
        rows.append([name.removesuffix("/real_time"), si(before.rate(), before.unit), si(after.rate(), after.unit),
                     f"{ratio:.3f}", spread, mark, f"{len(before.rates)}, {len(after.rates)}"])
    means = [f"geometric mean, {method}: {math.exp(statistics.mean(logs)):.3f} of {len(logs)}"
             for method, logs in sorted(logarithms.items(), key=lambda item: METHODS.index(item[0]))]
    alone = [f"in {where} only: {name}" for where, x, y in (("A", a, b), ("B", b, a)) for name in x if name not in y]
    header = ["benchmark", "A", "B", "B/A", "spread", "", "repetitions"]
    return "\n".join([table(header, rows), "", *means, *alone])


def main(arguments):
    if len(arguments) not in (1, 2) or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if arguments and arguments[0] in ("-h", "--help") else 2
    try:
        runs = [read(argument) for argument in arguments]
        print(one_run(runs[0][0]) if len(runs) == 1 else two_runs(runs[0][0], runs[1][0]))
    except Unusable as problem:
        print(f"report.py: {problem}", file=sys.stderr)
        return 1
    if len(runs) == 2 and runs[0][1] != runs[1][1]:
        print(f"\nThe runs differ in more than the code: {runs[0][1]} and {runs[1][1]}")
    failed = wrong(*(run for run, _ in runs))
    if failed:
        print("\nFailed:\n" + "\n".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
