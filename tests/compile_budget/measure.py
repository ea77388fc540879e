"""What compiling susc costs: prints the table of docs/compile_time.md; or keeps what is the same on every machine.

Usage: measure.py [REPEATS]   the table: seconds (the median of three, unless told; on a quiet machine), and counts
       measure.py --check     counts beside budget.json; fails where one is more than 15 % above it
       measure.py --update    writes budget.json
       measure.py --costs X   where clang++ spends the time of program X, e.g. "susc.hpp"

Counts are those of clang++ 14, without -march: template instantiations, files included, lines after preprocessing. With
another version of clang++ --check is skipped.
"""
import collections
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

SLACK = 1.15
SKIPPED = 77  # as Meson understands it
HEAVY = re.compile(r"/(Eigen|unsupported|xtensor|xtl|xsimd|nlohmann)/")
root = pathlib.Path(__file__).resolve().parents[2]
budget = root / "tests/compile_budget/budget.json"
clang, gcc = shutil.which("clang++") or "", shutil.which("g++") or ""


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return done.stdout


def grid_of(samplers):
    """The example with only so many samplers, so (configurations, source)."""
    text = (root / "examples/experiment_grid.cpp").read_text()
    lists = {name: types.split(", ") for name, types in re.findall(r"^using (\w+) = list<(.*)>;", text, re.MULTILINE)}
    short = text.replace(", ".join(lists["samplers"]), ", ".join(lists["samplers"][:samplers]))
    return len(lists["problems"]) * samplers * len(lists["observables"]) * len(lists["perturbations"]), short


PROGRAMS = {f"{header}, nothing else": f'#include "susc/{header}"\n'
            for header in ["core/concepts.hpp", "response/estimate.hpp", "susc.hpp"]}
PROGRAMS["examples/01_quadratic.cpp"] = (root / "examples/01_quadratic.cpp").read_text()
for count, source in map(grid_of, [1, 3]):
    PROGRAMS[f"examples/experiment_grid.cpp, {count} configurations"] = source

packages = run("pkg-config", "--cflags", "eigen3", "xtensor", "xsimd", "nlohmann_json").split()
flags = ["-std=c++20", f"-I{root / 'include'}", *packages]
folder = pathlib.Path(tempfile.mkdtemp())


def source_of(program):
    path = folder / (re.sub(r"\W", "_", program) + ".cpp")
    path.write_text(PROGRAMS[program])
    return path


def trace_of(program):
    """Every event of the front end; at granularity 0 their number is that of the work, not of the clock."""
    source = source_of(program)
    run(clang, *flags, "-O0", "-c", "-ftime-trace", "-ftime-trace-granularity=0", source, "-o", source.with_suffix(".o"))
    return json.loads(source.with_suffix(".json").read_text())["traceEvents"]


def headers_of(program):
    listed = run(clang, *flags, "-M", source_of(program)).replace("\\\n", " ").split(":", 1)[1].split()
    return {os.path.realpath(path) for path in listed[1:]}


def counts_of(program):
    instantiations = sum(event["name"] in ("InstantiateClass", "InstantiateFunction") for event in trace_of(program))
    text = run(clang, *flags, "-E", "-P", source_of(program))
    return {"instantiations": instantiations, "headers": len(headers_of(program)), "lines": text.count("\n")}


def seconds_of(program, compiler, *options):
    times = []
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 3):
        begin = time.monotonic()
        run(compiler, *flags, *options, source_of(program), "-o", folder / "out.o")
        times.append(time.monotonic() - begin)
    return statistics.median(times)


def clang_version():
    return re.search(r"version (\d+)", run(clang, "--version"))[1] if clang else "none"


def check():
    expected = json.loads(budget.read_text())
    if clang_version() != expected["clang"]:
        print(f"the budget is of clang++ {expected['clang']}, here is {clang_version()}")
        return SKIPPED
    wrong = [f"core/concepts.hpp includes {path}: it must stay free of Eigen, xtensor, xsimd and nlohmann/json"
             for path in sorted(headers_of("core/concepts.hpp, nothing else")) if HEAVY.search(path)]
    for program, allowed in expected["programs"].items():
        for what, now in counts_of(program).items():
            print(f"{program}: {now} {what}, {allowed[what]} in the budget")
            if now > SLACK * allowed[what]:
                wrong.append(f"{program}: {what} grew from {allowed[what]} to {now}; if it is worth it, raise the number "
                             f"in tests/compile_budget/budget.json (measure.py --update)")
    wrong += [f"{program} is not in the budget: measure.py --update"
              for program in PROGRAMS.keys() - expected["programs"].keys()]
    return "\n".join(wrong) or 0


def table():
    print("| program | clang++, s | clang++ -O2, s | g++ -O2, s | instantiations | headers | lines |")
    print("|---|---|---|---|---|---|---|")
    rows = {}
    for program in PROGRAMS:
        seconds = [seconds_of(program, clang, "-fsyntax-only"), seconds_of(program, clang, "-O2", "-c"),
                   seconds_of(program, gcc, "-O2", "-c")]
        counts = counts_of(program)
        rows[program] = seconds + [counts["instantiations"]]
        print(f"| {program} | " + " | ".join([f"{s:.1f}" for s in seconds] + [f"{n}" for n in counts.values()]) + " |",
              flush=True)
    (few, small), (many, large) = [(int(re.search(r", (\d+) conf", program)[1]), row)
                                   for program, row in rows.items() if "conf" in program]
    slope = [(b - a) / (many - few) for a, b in zip(small, large)]
    print("| each further configuration | " + " | ".join([f"{s:.2f}" for s in slope[:3]] + [f"{slope[3]:.0f}"])
          + " | | |")


def costs(name):
    """Seconds by what was read or instantiated, each event without those inside it."""
    program = next(p for p in PROGRAMS if p.startswith(name))
    events = sorted((e for e in trace_of(program) if e["ph"] == "X" and not e["name"].startswith("Total")),
                    key=lambda e: (e["ts"], -e["dur"]))
    own, stack = collections.Counter(), []
    for event in events:
        while stack and event["ts"] >= stack[-1][0]["ts"] + stack[-1][0]["dur"]:
            stack.pop()
        detail = event.get("args", {}).get("detail", "")
        package = re.search(r"/(susc|Eigen|xtensor|xtl|xsimd|nlohmann)/|/(c)\+\+/", detail)
        if event["name"] == "Source":
            what = "reading " + ((package[1] or "the standard library") if package else "the C library and others")
        elif event["name"].startswith("Instantiate"):
            space = re.match(r"(?:std|susc|Eigen|xt|xtl|xsimd|nlohmann)(?=::)", detail)
            what = "templates of " + (space[0] if space else "others")
        else:
            what = stack[-1][1] if stack else event["name"]
            if event["name"] in ("Backend", "CodeGen Function", "OptModule", "OptFunction", "RunPass"):
                what = "code generation"
        own[what] += event["dur"]
        if stack:
            own[stack[-1][1]] -= event["dur"]
        stack.append((event, what))
    for what, microseconds in own.most_common(12):
        print(f"{microseconds / 1e6:6.2f} s  {what}")
    inclusive = collections.Counter()
    for event in events:
        if event["name"] == "Source":
            inclusive[event["args"]["detail"]] += event["dur"]
    print("Headers, with all that they include:")
    for path, microseconds in inclusive.most_common(25):
        print(f"{microseconds / 1e6:6.2f} s  {path}")


try:
    if "--check" in sys.argv:
        sys.exit(check())
    elif "--update" in sys.argv:
        numbers = {"clang": clang_version(), "programs": {program: counts_of(program) for program in PROGRAMS}}
        budget.write_text(json.dumps(numbers, indent=2) + "\n")
    elif "--costs" in sys.argv:
        costs(sys.argv[sys.argv.index("--costs") + 1])
    else:
        table()
finally:
    shutil.rmtree(folder)
