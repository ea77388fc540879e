"""patterning.py PROGRAM: the program on a tiny model, and what it refuses. Standard library only."""
import csv
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv[1])
TINY = ("--width 16 --heads 2 --training-steps 60 --snapshots 6 --seeds 2 --tokens-per-domain 5000 --chains 2 --draws 12 "
        "--probe-tokens 64 --evaluation-tokens 64").split()  # fmt: skip
DOMAINS = ["bigram", "phrases", "brackets", "induction"]


class Patterning(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="susc-patterning-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)

    def run_program(self, *arguments):
        return subprocess.run([PROGRAM, *map(str, arguments)], cwd=self.folder, capture_output=True, text=True,
                              timeout=120)  # fmt: skip

    def fails(self, *arguments):
        done = self.run_program(*arguments)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertTrue(done.stderr.startswith("patterning: "), done.stderr)
        self.assertEqual(list(self.folder.iterdir()), [])
        return done.stderr

    def test_tiny(self):
        # Hardly trained, no head does induction: that is told, and nothing is left behind. The head that comes closest
        # then stands for one.
        refused = self.fails(*TINY, "--threshold", ".99")
        largest = float(re.search(r"the largest prefix-matching score is ([\d.e-]+), must exceed 0.99", refused)[1])
        arguments = [*TINY, "--threshold", .99 * largest]
        done = self.run_program(*arguments, "--threads", "2")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        folder = self.folder / "patterning_results"
        self.assertEqual(sorted(p.name for p in folder.iterdir()), ["curves.csv", "summary.json"])

        def constant(name):
            self.fail(f"summary.json holds {name}")

        found = json.loads((folder / "summary.json").read_text(), parse_constant=constant)
        self.assertEqual([m["domain"] for m in found["mixtures"]], DOMAINS)
        mixtures = ["less", "unchanged", "more", "more induction", "more others"]
        for name in mixtures:
            self.assertAlmostEqual(sum(m[name] for m in found["mixtures"]), 1)
            self.assertGreaterEqual(min(m[name] for m in found["mixtures"]), 0)
        shifts = [m["shift"] for m in found["mixtures"]]
        for m in found["mixtures"]:
            self.assertAlmostEqual(m["unchanged"], .25)
            moved = m["shift"] - .25 * sum(shifts)
            self.assertAlmostEqual(m["more"], .25 + moved)
            self.assertAlmostEqual(m["less"], .25 - moved)
        # Half of what would leave a domain without weight.
        self.assertAlmostEqual(min(m[name] for m in found["mixtures"] for name in ["less", "more"]), .125)
        self.assertEqual([r["head"] for r in found["responses"]], ["l0h0", "l0h1", "l1h0", "l1h1"])
        for r in found["responses"]:
            self.assertTrue(all(math.isfinite(v) for k, v in r.items() if k != "head"))
            self.assertGreater(min(r["predicted_error"], r["resampled_error"]), 0)
        self.assertTrue(0 < found["effective_rank"] <= 4)
        # A pilot run chose for each, and the chains ran at that.
        self.assertEqual(sorted(found["settings"]["localization"]), ["full", "l0h0", "l0h1", "l1h0", "l1h1"])
        self.assertEqual(len(set(found["settings"]["localization"].values())), 5)
        self.assertEqual(sorted((t["mixture"], t["seed"]) for t in found["trainings"]),
                         [(m, s) for m in sorted(mixtures) for s in [1, 2]])  # fmt: skip
        # The controls change the one domain's share, or the others among themselves.
        *others, induction = found["mixtures"]
        self.assertAlmostEqual(induction["more induction"], induction["more"])
        self.assertAlmostEqual(induction["more others"], induction["unchanged"])
        for m in others:
            self.assertAlmostEqual(m["more induction"] / m["unchanged"], others[0]["more induction"] / others[0]["unchanged"])
            self.assertAlmostEqual(m["more others"] / m["more"], others[0]["more others"] / others[0]["more"])

        rows = list(csv.DictReader((folder / "curves.csv").read_text().splitlines()))
        heads = ["l0h0", "l0h1", "l1h0", "l1h1"]
        self.assertEqual(list(rows[0]), ["mixture", "seed", "step", *heads, *("loss " + d for d in DOMAINS)])
        for t in found["trainings"]:
            curve = [r for r in rows if (r["mixture"], int(r["seed"])) == (t["mixture"], t["seed"])]
            self.assertEqual([int(r["step"]) for r in curve], [1, 2, 5, 12, 26, 60])
            best = [max(float(r[h]) for h in heads) for r in curve]
            above = [int(r["step"]) for r, b in zip(curve, best, strict=True) if b > .99 * largest]
            self.assertEqual(t["formed"], above[0] if above else None)
            self.assertAlmostEqual(t["prefix_matching"], best[-1], delta=1e-5)

        # The same numbers for another number of threads.
        again = self.run_program(*arguments, "--threads", "1", "--output", "again")
        self.assertEqual((again.returncode, again.stderr), (0, ""))
        for name in ["curves.csv", "summary.json"]:
            self.assertEqual((self.folder / "again" / name).read_text(), (folder / name).read_text())

    def test_refused(self):
        for arguments, words in [
            (["--seeds", "0"], "--seeds is 0"),
            (["--snapshots", "1"], "--snapshots is 1"),
            (["--training-steps", "1"], "--training-steps is 1"),
            (["--strength", "1.5"], "--strength"),
            (["--strength", "0"], "strength"),
            (["--draws", "0"], "--draws"),
            (["--pilot-target", "0"], "the pilot's target is 0"),
            (["--corpus", "missing"], "missing"),
            (["--unknown"], "--unknown"),
            (["--seeds", "-1"], "-1 is negative"),
            (["--threshold", "nan"], "--threshold is nan"),
            (["--centring", "none"], "none"),
        ]:
            with self.subTest(arguments):
                self.assertIn(words, self.fails(*arguments))

    def test_help(self):
        done = self.run_program("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for option in ["--strength", "--threshold", "--seeds", "--response-strength"]:
            self.assertIn(option, done.stdout)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
