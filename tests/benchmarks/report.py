"""report.py PROGRAM: benchmarks/report.py on two small runs whose ratios are known. Standard library only."""
import copy
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv[1])


def entry(name, microseconds, rate=None, **more):
    rates = {} if rate is None else {"tokens/s": rate, "of_peak": rate / 1000}
    return {"name": name, "run_name": name, "run_type": "iteration", "cpu_time": microseconds, "real_time": 2 * microseconds,
            "time_unit": "us"} | rates | more


# Medians: ours 200 tokens/s in 5 ms, Eigen's 100, loops' (at another size) 10.
A = {"context": {"host_name": "h", "compiler": "12"}, "benchmarks": [
    entry("k/small/ours", 5000, 200), entry("k/small/ours", 4000, 220), entry("k/small/ours", 6000, 180),
    entry("k/small/ours", 1, 9999, run_type="aggregate", aggregate_name="stddev"),
    entry("k/small/Eigen", 10000, 100), entry("k/small/loops", 100, 10),
    entry("scaling/2_threads/real_time", 500, speed_up=1.5)]}
# Ours twice as fast, Eigen's as before, loops' half as fast.
B = copy.deepcopy(A)
for e in B["benchmarks"]:
    factor = {"ours": 2, "loops": .5}.get(e["name"].split("/")[-1], 1)
    if "tokens/s" in e:
        e["tokens/s"] *= factor


class TestReport(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="susc-report-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def report(self, *arguments, code=0):
        run = subprocess.run([sys.executable, PROGRAM, *map(str, arguments)], capture_output=True, text=True)
        self.assertEqual(run.returncode, code, run.stdout + run.stderr)
        self.assertNotIn("Traceback", run.stderr)
        return run.stdout if code == 0 else run.stdout + run.stderr

    def row(self, text, name):
        found = [line for line in text.splitlines() if line.startswith(f"| {name} ")]
        self.assertEqual(len(found), 1, text)
        return [cell.strip() for cell in found[0].strip("|").split("|")]

    def test_one_run(self):
        text = self.report(self.write("a.json", A))
        self.assertEqual(self.row(text, "k/small"),
                         ["k/small", "5 ms", "200 tokens/s", "20 %", "2.00", "20.00", "10.0 %", "3"])
        # By the clock on the wall: 2 x 500 us.
        self.assertEqual(self.row(text, "scaling/2_threads"),
                         ["scaling/2_threads", "1 ms", "1 kcalls/s", "1.50 of 1 thread", "", "", "", "1"])

    def test_two_runs(self):
        text = self.report(self.write("a.json", A), self.write("b.json", B))
        # Each run has a relative standard deviation of 20/200: 2 x sqrt(.02) = 0.283 together.
        self.assertEqual(self.row(text, "k/small/ours"),
                         ["k/small/ours", "200 tokens/s", "400 tokens/s", "2.000", "0.283", "*", "3, 3"])
        self.assertEqual(self.row(text, "k/small/Eigen")[3:], ["1.000", "", "", "1, 1"])
        self.assertIn("geometric mean, ours: 1.414 of 2", text)  # 2 and 1, of scaling
        self.assertIn("geometric mean, Eigen: 1.000 of 1", text)
        self.assertIn("geometric mean, loops: 0.500 of 1", text)
        self.assertNotIn("differ", text)

    def test_another_compiler_and_names_of_one_run_are_mentioned(self):
        other = copy.deepcopy(B)
        other["context"]["compiler"] = "14"
        other["benchmarks"].append(entry("k/large/ours", 1, 1))
        text = self.report(self.write("a.json", A), self.write("b.json", other))
        self.assertIn("in B only: k/large/ours", text)
        self.assertIn("differ in more than the code", text)

    def test_folders(self):
        half = len(A["benchmarks"]) // 2
        for i, part in enumerate((A["benchmarks"][:half], A["benchmarks"][half:])):
            self.write(f"run/{i}.json", {"context": A["context"], "benchmarks": part})
        self.assertEqual(self.report(self.folder / "run"), self.report(self.write("a.json", A)))

    def test_a_wrong_result_fails(self):
        bad = copy.deepcopy(A)
        bad["benchmarks"].append({"name": "k/bad/ours", "run_name": "k/bad/ours", "run_type": "iteration",
                                  "error_occurred": True, "error_message": "wrong result: c"})
        a, b = self.write("a.json", A), self.write("bad.json", bad)
        for arguments in ([b], [a, b], [b, a]):
            text = self.report(*arguments, code=1)
            self.assertIn("k/bad/ours: wrong result: c", text)
            self.row(text, "k/small" if len(arguments) == 1 else "k/small/ours")  # the others are shown

    def test_unusable_files(self):
        a = self.write("a.json", A)
        (self.folder / "empty").mkdir()
        other = self.write("other.json", {"benchmarks": [entry("x/ours", 1, 1)]})
        aggregate = self.write("aggregate.json", {"benchmarks": [entry("x/ours", 1, 1, run_type="aggregate")]})
        for arguments, message in (
            ([self.folder / "none.json"], "none.json: there is no such file"),
            ([self.folder / "empty"], "the folder has no *.json"),
            ([self.write("text.json", "{")], "text.json: not JSON"),
            ([self.write("list.json", "[]")], 'has no list "benchmarks"'),
            ([self.write("entries.json", {"benchmarks": [1]})], 'has no list "benchmarks"'),
            ([self.write("idle.json", {"benchmarks": [entry("x/ours", 0)]})], "x/ours took no time"),
            ([self.write("number.json", {"benchmarks": [{"name": "x", "run_name": "x"}]})], "no usable 'cpu_time'"),
            ([aggregate], "no repetitions"),
            ([a, other], "no benchmark in common"),
        ):
            self.assertIn(message, self.report(*arguments, code=1))
        self.assertIn("report.py A B", self.report(code=2))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
