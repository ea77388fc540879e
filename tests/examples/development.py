"""development.py DEVELOPMENT STRUCTURAL_INFERENCE: the program on a tiny model, killed and run again, and its last checkpoint
against a run of structural_inference (bad input: bad_input.py). Standard library only."""
import ast
import itertools
import json
import math
import os
import pathlib
import random
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM, INFERENCE = map(os.path.abspath, sys.argv[1:3])
TINY = ("--corpus synthetic --width 16 --layers 2 --heads 2 --training-steps 120 --chains 2 --draws 24 --burn-in 4 "
        "--probe-tokens 128 --evaluation-tokens 128").split()  # fmt: skip
STEPS = [0, 1, 5, 24, 120]


def command(program, output, *more):
    settings = dict(zip(TINY[::2], TINY[1::2])) | {"--output": output} | dict(zip(more[::2], more[1::2]))
    return [str(word) for word in (program, *(word for pair in settings.items() for word in pair))]


def develop(output, *more):
    return command(PROGRAM, output, "--checkpoints", len(STEPS), *more)


def read(path):
    """Shape and numbers of a .npy file."""
    raw = pathlib.Path(path).read_bytes()
    size = struct.unpack("<H", raw[8:10])[0]
    header = ast.literal_eval(raw[10 : 10 + size].decode())
    code = {"<f8": "d", "<i4": "i"}[header["descr"]]
    return header["shape"], [x for (x,) in struct.iter_unpack("<" + code, raw[10 + size :])]


def bits(folder):
    """Every array and all weights; what is JSON or a page too, as neither holds a time."""
    folder = pathlib.Path(folder)
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


class Development(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="susc-development-")
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.folder = pathlib.Path(cls.temporary.name)
        begin = time.monotonic()
        done = subprocess.run(develop(cls.folder / "whole"), capture_output=True, text=True)
        cls.seconds = time.monotonic() - begin
        if done.returncode or done.stderr:
            raise RuntimeError(done.stderr)
        cls.screen = done.stdout
        cls.whole = bits(cls.folder / "whole")

        def constant(name):
            raise ValueError(f"development.json holds {name}")

        cls.summary = json.loads(cls.whole["development.json"], parse_constant=constant)

    def array(self, name, *shape):
        found, values = read(self.folder / "whole" / (name + ".npy"))
        self.assertEqual(found, shape, name)
        return values

    def test_files(self):
        T, P, C, H = len(STEPS), len(self.summary["probes"]), 4, 4
        K, N = C, self.array("tokens", *read(self.folder / "whole/tokens.npy")[0])
        N = len(N) // 4
        self.assertEqual(self.array("steps", T), STEPS)
        self.assertEqual(self.summary["steps"], STEPS)
        self.assertEqual(sorted(int(p.stem) for p in (self.folder / "whole/snapshots").iterdir()), STEPS)
        for name in ["llc", "llc_error"]:
            self.assertTrue(all(map(math.isfinite, self.array(name, T, C))), name)
        self.assertGreater(min(self.array("llc_error", T, C)), 0)
        self.assertGreater(min(self.array("llc_all_weights_error", T)), 0)
        self.array("llc_all_weights", T)
        for name in ["susceptibilities", "susceptibilities_error"]:
            self.assertTrue(all(map(math.isfinite, self.array(name, T, P, C))), name)
        for name in ["prefix_matching", "previous_token"]:
            self.assertTrue(all(0 <= x <= 1 for x in self.array(name, T, H)), name)
        losses = self.array("losses", T, P)
        for before, after in zip(losses[:P], losses[-P:], strict=True):
            self.assertGreater(before, after)
            self.assertLess(abs(before - math.log(128)), 1)  # nothing learnt: about uniform on the vocabulary
        self.array("scores", T, N, K)
        # The JSON holds the same numbers, to five digits.
        for name, shape in [("losses", (T, P)), ("prefix_matching", (T, H)), ("singular_values", (T, K)),
                            ("loadings", (T, K, C))]:  # fmt: skip
            values = self.summary[name]
            while isinstance(values[0], list):
                values = [x for row in values for x in row]
            for a, b in zip(values, self.array(name, *shape), strict=True):
                self.assertLessEqual(abs(a - b), 1e-4 * abs(b) + 1e-12, name)
        leftovers = {"chains", "checkpoint_chains", "training"} & {p.name for p in (self.folder / "whole").iterdir()}
        self.assertFalse(leftovers)
        for step in STEPS:
            self.assertRegex(self.screen, rf"(?m)^ +{step} ")

    def test_modes_are_aligned(self):
        T, C = len(STEPS), 4
        N = read(self.folder / "whole/tokens.npy")[0][0]
        flat, chi = self.array("scores", T, N, C), self.array("example_susceptibilities", T, N, C)
        loadings, singular = self.array("loadings", T, C, C), self.array("singular_values", T, C)
        score = lambda t, r, k: flat[(t * N + r) * C + k]  # noqa: E731
        column = lambda t, k: [score(t, r, k) for r in range(N)]  # noqa: E731
        dot = lambda a, b: sum(x * y for x, y in zip(a, b, strict=True))  # noqa: E731
        for t in range(T):
            # Scores times loadings are the standardised matrix; each mode has its singular value; loadings orthonormal.
            for c in range(C):
                own = [chi[(t * N + r) * C + c] for r in range(N)]
                mean = sum(own) / N
                deviation = math.sqrt(sum((x - mean) ** 2 for x in own) / N)
                for r in range(0, N, 7):
                    product = sum(score(t, r, k) * loadings[(t * C + k) * C + c] for k in range(C))
                    self.assertAlmostEqual(product, (own[r] - mean) / deviation, places=8)
            for k in range(C):
                self.assertAlmostEqual(math.sqrt(dot(column(t, k), column(t, k))), singular[t * C + k], places=8)
                for other in range(C):
                    rows = [loadings[(t * C + i) * C : (t * C + i + 1) * C] for i in (k, other)]
                    self.assertAlmostEqual(dot(*rows), k == other, places=10)
        last = singular[-C:]
        self.assertEqual(last, sorted(last, reverse=True))
        for t in range(T - 1):
            inner = [[dot(column(t, i), column(t + 1, j)) for j in range(C)] for i in range(C)]
            for k in range(C):
                self.assertGreater(inner[k][k], 0)
            here = sum(inner[k][k] for k in range(C))
            for order in itertools.permutations(range(C)):
                self.assertLessEqual(sum(abs(inner[k][order[k]]) for k in range(C)), here * (1 + 1e-12))
            squares = [sum(x * x for x in flat[s * N * C : (s + 1) * N * C]) for s in (t, t + 1)]
            matching, rotation = (self.summary[f"{name}_residual"][t] for name in ("matching", "rotation"))
            self.assertAlmostEqual(matching, 1 - here**2 / squares[0] / squares[1], places=4)
            self.assertLessEqual(rotation, matching + 1e-4)
            self.assertGreaterEqual(rotation, 0)
        self.assertIsNone(self.summary["matching_residual"][-1])

    def test_last_checkpoint_is_that_of_structural_inference(self):
        output = self.folder / "inference"
        done = subprocess.run(command(INFERENCE, output, "--snapshots", len(STEPS)), capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        for ours, theirs in [("susceptibilities", "response_matrix"), ("susceptibilities_error", "response_matrix_error"),
                             ("example_susceptibilities", "token_susceptibilities")]:  # fmt: skip
            expected = read(output / (theirs + ".npy"))[1]
            found = read(self.folder / "whole" / (ours + ".npy"))[1]
            self.assertEqual(found[-len(expected) :], expected, ours)
            self.assertNotEqual(found[-2 * len(expected) : -len(expected)], expected, ours)
        summary = json.loads((output / "summary.json").read_text())
        for row, llc in zip(summary["diagnostics"], self.summary["llc"]["value"][-1], strict=True):
            self.assertAlmostEqual(row["llc"], llc, delta=1e-4 * abs(llc))
        for row, score in zip(summary["heads"], self.summary["prefix_matching"][-1], strict=True):
            self.assertAlmostEqual(row["prefix_matching"], score, delta=1e-4)
        for step in STEPS:
            name = f"snapshots/{step}.safetensors"
            self.assertEqual((output / name).read_bytes(), self.whole[name])
        # Both programs share a folder: the model is not trained again, and neither takes the other's files away.
        done = subprocess.run(develop(output), capture_output=True, text=True)
        self.assertIn("trained before", done.stdout)
        self.assertTrue((output / "summary.json").exists())
        shared = bits(output)
        for name, content in self.whole.items():
            self.assertEqual(shared[name], content, name)

    def test_page(self):
        page = self.whole["development.html"].decode()
        # A stylesheet or script from elsewhere; the one address there is names SVG.
        self.assertNotRegex(page, r"<link|<img|url\(|@import|<script[^>]* src=")
        self.assertEqual(set(re.findall(r"https?://[^\"' ]+", page)), {"http://www.w3.org/2000/svg"})
        self.assertTrue(page.rstrip().endswith("</html>"))
        data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])
        self.assertEqual(data["steps"], STEPS)
        self.assertEqual([len(x) for x in data["tokens"]["scores"]], [2] * len(STEPS))
        self.assertEqual(len(data["tokens"]["scores"][0][0]), len(data["tokens"]["text"]))
        # One choice for all checkpoints, made at the last.
        self.assertIn("was chosen once, for all, at the last: E[φ] is about 0.1 there", page)
        pilot = json.loads(self.whole["development.json"])["settings"]["localization"]
        self.assertEqual(list(pilot), ["full", "l0h0", "l0h1", "l1h0", "l1h1"])
        self.assertNotEqual(len(set(pilot.values())), 1)

    def test_killed_and_run_again(self):
        random.seed(1)
        output, kills = self.folder / "killed", 0
        while True:
            process = subprocess.Popen(
                develop(output, "--threads", random.choice([1, 2, 3]), "--checkpoint-seconds", "0.05"),
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)  # fmt: skip
            sent = random.choice([signal.SIGKILL, signal.SIGTERM])
            try:
                process.wait(random.uniform(0.1, 1) * self.seconds if kills < 8 else None)
            except subprocess.TimeoutExpired:
                kills += 1
                process.send_signal(sent)
            message = process.communicate()[1]
            if process.returncode == 0:
                break
            self.assertIn(process.returncode, (75, -sent), message)
        self.assertGreater(kills, 0)
        self.assertEqual(bits(output).keys(), self.whole.keys())
        for name, content in bits(output).items():
            self.assertEqual(content, self.whole[name], name)
        # A snapshot of other settings, or none, is trained again, to the same bits.
        (output / "snapshots/24.safetensors").unlink()
        (output / "snapshots/5.safetensors").write_bytes(self.whole["snapshots/1.safetensors"])
        done = subprocess.run(develop(output), capture_output=True, text=True)
        self.assertIn("training anew", done.stdout)
        self.assertEqual(bits(output), self.whole)
        # Kept chains are read, not run; other settings are refused.
        kept = ["--run-directory", self.folder / "kept"]
        subprocess.run(develop(output, *kept), check=True, capture_output=True)
        self.assertEqual(sorted(int(p.name) for p in (self.folder / "kept").iterdir()), STEPS)
        other = subprocess.run(develop(output, *kept, "--n-beta", "31"), capture_output=True, text=True)
        self.assertEqual(other.returncode, 2)
        self.assertIn("n_beta is 30 there, 31 here", other.stderr)

    def test_diverged(self):
        # Nothing is left of a run at whose checkpoints no chain stays finite, but its model.
        done = subprocess.run(develop(self.folder / "diverged", "--n-beta", "1e30"), capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("at every checkpoint all chains of some component diverged", done.stderr)
        self.assertEqual(sorted(p.name for p in (self.folder / "diverged").iterdir()), ["model.safetensors", "snapshots"])

    def test_help(self):
        done = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for words in ["--checkpoints", "Development over training", "--localization"]:
            self.assertIn(words, done.stdout)
        self.assertNotIn("--snapshots", done.stdout)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
