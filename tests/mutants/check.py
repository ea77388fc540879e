"""Each injected defect must make the named test case fail, which passes without it.

Usage: check.py COMPILER [OPTION...]   (pkg-config finds the dependencies; options are added)
"""
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from defects import DEFECTS

root = pathlib.Path(__file__).resolve().parents[2]
compiler, options = sys.argv[1], sys.argv[2:]
for dependency in ["eigen3", "xtensor", "xsimd", "nlohmann_json"]:
    found = subprocess.run(["pkg-config", "--cflags", dependency], capture_output=True, text=True)
    options += found.stdout.split()  # nothing where it lies in the compiler's own path
flags = ["-std=c++20", "-O1", "-ffp-contract=fast", "-w", "-pthread", f'-DSUSC_FIXTURES="{root}/tests/fixtures"',
         "-DDOCTEST_CONFIG_SUPER_FAST_ASSERTS", f"-I{root / 'tests'}"]


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


def build(source, include, to):
    done = run(compiler, *flags, f"-I{include}", *options, str(root / "tests" / source), main, "-o", to)
    return done.returncode == 0, done.stderr


def outcome(program, case):
    """'passes', 'fails', or what went wrong: a name that selects nothing must not count as a pass."""
    escaped = case.replace(",", "\\,")
    done = run(program, f"--test-case={escaped}", "--no-intro")
    if "test cases: 0" in " ".join(done.stdout.split()):
        return "no such test case"
    return "passes" if done.returncode == 0 else "fails"


def check(defect):
    file, before, after, source, case = defect
    with tempfile.TemporaryDirectory() as folder:
        include = pathlib.Path(folder) / "include"
        shutil.copytree(root / "include", include)
        mutated = include / "susc" / file
        text = mutated.read_text()
        if text.count(before) != 1:
            return f"source string found {text.count(before)} times"
        mutated.write_text(text.replace(before, after))
        built, message = build(source, include, f"{folder}/test")
        if not built:
            return "does not compile: " + message[:300]
        verdict = outcome(f"{folder}/test", case)
        return "caught" if verdict == "fails" else "SURVIVES" if verdict == "passes" else verdict


with tempfile.TemporaryDirectory() as folder, \
        concurrent.futures.ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
    main = f"{folder}/main.o"
    subprocess.run([compiler, "-std=c++20", "-O1", *options, "-c", str(root / "tests/main.cpp"), "-o", main], check=True)
    sources = sorted({source for _, _, _, _, source, _ in DEFECTS})
    plain = {s: f"{folder}/{s.replace('/', '_')}.exe" for s in sources}
    built = dict(zip(sources, pool.map(lambda s: build(s, root / "include", plain[s]), sources)))
    verdicts = pool.map(check, [d[1:] for d in DEFECTS])
    missed = 0
    for (name, file, _, _, source, case), verdict in zip(DEFECTS, verdicts):
        unmutated = outcome(plain[source], case) if built[source][0] else "does not compile: " + built[source][1][:300]
        good = verdict == "caught" and unmutated == "passes"
        missed += not good
        print(f"{'ok  ' if good else 'FAIL'} {name:38} {file:32} {source:30} {verdict}; unmutated {unmutated}",
              flush=True)
print(f"{len(DEFECTS) - missed} of {len(DEFECTS)} defects caught")
sys.exit(missed != 0)
