"""reproduce.py PROGRAM SCRIPT: scripts/reproduce.py on tiny trainings of the generated language: its tables hold what the
runs' files say, and a second call does nothing again. Skipped without NumPy."""
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

if importlib.util.find_spec("numpy") is None:
    sys.exit(77)

import numpy as np

PROGRAM, SCRIPT = map(os.path.abspath, sys.argv[1:3])
TINY = ["--vocabulary", "128", "--context", "32", "--width", "16", "--heads", "2", "--training-steps", "30",
        "--training-batch-size", "8", "--tokens-per-domain", "20000", "--chains", "2", "--draws", "8", "--probe-tokens", "64",
        "--evaluation-tokens", "64"]  # fmt: skip


class Reproduce(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="susc-reproduce-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)

    def call(self, code, *words):
        done = subprocess.run([sys.executable, SCRIPT, *words], cwd=self.folder, capture_output=True, text=True, timeout=300,
                              env=os.environ | {"CUDA_VISIBLE_DEVICES": ""})  # fmt: skip
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def test_tables(self):
        words = ["synthetic", "--program", PROGRAM, "--seeds", "5", "7", *TINY]
        self.call(0, *words)
        out = self.folder / "reproduction"
        numbers = json.loads((out / "tables.json").read_text())
        text = (out / "tables.md").read_text()
        self.assertEqual(list(numbers["seeds"]), ["5", "7"])
        runs = {name: json.loads((out / f"seed-{name}/summary.json").read_text()) for name in ("5", "7", "5-again")}
        # One set of data, other weights; the model that is sampled again is the same.
        self.assertEqual((out / "seed-5/tokens.npy").read_bytes(), (out / "seed-7/tokens.npy").read_bytes())
        models = {name: (out / f"seed-{name}/model.safetensors").read_bytes() for name in runs}
        self.assertEqual(models["5"], models["5-again"])
        self.assertNotEqual(models["5"], models["7"])
        self.assertEqual([runs[name]["settings"]["seed"] for name in runs], [1, 1, 2])
        self.assertEqual([runs[name]["settings"]["localization"] for name in runs], [300] * 3)

        for name in ("5", "7"):
            for how, suffix in ("full", ""), ("restricted", "_restricted"):
                loadings = np.load(out / f"seed-{name}/principal_components{suffix}_loadings.npy")
                singular = np.load(out / f"seed-{name}/principal_components{suffix}_singular_values.npy")
                for k, kept in enumerate(numbers["seeds"][name][how]):
                    self.assertAlmostEqual(kept["singular_value"] / singular[k], 1, places=4)
                    self.assertAlmostEqual(kept["uniform"], abs(np.mean(loadings[k])) * len(loadings[k]) ** .5, places=4)
                    self.assertIn(f"| {name} | {k + 1} | {singular[k]:.1f} |", text)
        scores = {name: np.load(out / f"seed-{name}/principal_components_scores.npy") for name in runs}
        # What all heads share, taken out by least squares of each column on it.
        phi = [d["mean_observable"] for d in runs["7"]["diagnostics"]]
        chi, restricted = (np.load(out / f"seed-7/token_susceptibilities{suffix}.npy") for suffix in ("", "_restricted"))
        s = np.mean([(chi[:, c] - restricted[:, c]) / phi[c] for c in range(len(phi))], axis=0)
        columns = (chi - chi.mean(axis=0)) / chi.std(axis=0)
        basis = np.stack([s, np.ones_like(s)], axis=1)
        left = columns - basis @ np.linalg.lstsq(basis, columns, rcond=None)[0]
        values, vectors = np.linalg.eigh(left.T @ left)
        shared = numbers["seeds"]["7"]["shared"]
        self.assertAlmostEqual(shared["correlation"], abs(np.corrcoef(s, scores["7"][:, 0])[0, 1]), places=9)
        self.assertAlmostEqual(shared["explained"], 1 - np.sum(left**2) / columns.size, places=9)
        for k, mode in enumerate(shared["modes_left"]):
            self.assertAlmostEqual(mode["explained"], values[-1 - k] / columns.size, places=9)
            self.assertAlmostEqual(mode["uniform"], abs(np.mean(vectors[:, -1 - k])) * len(phi) ** .5, places=9)
        for how, suffix in ("full", ""), ("restricted", "_restricted"):
            one, other = (np.load(out / f"seed-{name}/token_susceptibilities{suffix}.npy") for name in ("5", "5-again"))
            exact = [np.corrcoef(one[:, c], other[:, c])[0, 1] for c in range(len(phi))]
            np.testing.assert_allclose(numbers["reliability"][how], exact, rtol=1e-9)
            for name in "token_susceptibilities", "response_matrix":
                value, error = ([np.load(out / f"seed-{run}/{name}{suffix}{last}.npy") for run in ("5", "5-again")]
                                for last in ("", "_error"))  # fmt: skip
                z2 = (value[0] - value[1])**2 / (error[0]**2 + error[1]**2)
                said = numbers["errors"][how][name]
                self.assertAlmostEqual(said["root_mean_square"], z2.mean()**.5, places=9)
                self.assertEqual(said["beyond_1.96"], np.sum(z2 > 1.96**2) / z2.size)

        found = {entry["seeds"]: entry for entry in numbers["agreement"] if entry["centring"] == "full"}
        self.assertEqual(list(found), ["5, 7", "5, sampled again"])
        for label, other in ("5, 7", "7"), ("5, sampled again", "5-again"):
            for i in range(3):
                for j in range(3):
                    exact = np.corrcoef(scores[other][:, i], scores["5"][:, j])[0, 1]
                    self.assertAlmostEqual(found[label]["correlations"][i][j], abs(exact), places=9)
            # Cosines of angles: canonical correlations.
            a, b = (scores[name][:, :3] - scores[name][:, :3].mean(axis=0) for name in ("5", other))
            within = np.linalg.solve(a.T @ a, a.T @ b) @ np.linalg.solve(b.T @ b, b.T @ a)
            squares = np.sort(np.linalg.eigvals(within).real)[::-1]
            np.testing.assert_allclose(found[label]["angles"], squares**.5, rtol=1e-6)
        self.assertEqual(sorted(p.name for p in out.iterdir()), ["seed-5", "seed-5-again", "seed-7", "tables.json", "tables.md"])

        before = {p: p.stat().st_mtime_ns for p in out.rglob("*.npy")}
        again = self.call(0, *words)
        self.assertNotIn("+ ", again.stdout)
        self.assertEqual(before, {p: p.stat().st_mtime_ns for p in out.rglob("*.npy")})
        self.assertEqual(text, (out / "tables.md").read_text())
        # Tables are of one set of settings and of data.
        for more, says in [(["--draws", "9"], "seed-5 was made with --draws 8, not 9"),
                           (["--training-steps", "31"], "seed-5 was made with --training-steps 30, not 31"),
                           (["--seeds", "7", "5"], "seed-7 was made with --data-seed 5, not 7")]:  # fmt: skip
            settings = [word for pair in zip(TINY[::2], TINY[1::2]) if pair[0] != more[0] for word in pair]
            seeds = [] if more[0] == "--seeds" else ["--seeds", "5", "7"]
            self.assertIn(says, self.call(2, "synthetic", "--program", PROGRAM, *seeds, *settings, *more).stderr)
        self.assertEqual(text, (out / "tables.md").read_text())

    def test_two_components(self):
        self.call(0, "synthetic", "--program", PROGRAM, "--seeds", "5", *TINY, "--components", "l0h0,l1h1")
        numbers = json.loads((self.folder / "reproduction/tables.json").read_text())
        self.assertEqual(len(numbers["seeds"]["5"]["full"]), 2)

    def test_trained_before(self):
        """Weights of the same training, but on a CPU with bfloat16: they are sampled, not trained anew."""
        words = ["synthetic", "--program", PROGRAM, "--seeds", "5", *TINY]
        self.call(0, *words)
        out = self.folder / "reproduction"
        raw = (out / "seed-5/model.safetensors").read_bytes()
        size = int.from_bytes(raw[:8], "little")
        header = json.loads(raw[8 : 8 + size])
        trained = json.loads(header["__metadata__"]["training"])
        other = "single" if trained.pop("precision", "single") == "bfloat16" else "bfloat16"
        if other == "bfloat16":
            trained["precision"] = other
        header["__metadata__"]["training"] = json.dumps(trained)
        text = json.dumps(header).encode()
        for folder in "seed-5", "seed-5-again":
            (out / folder / "summary.json").unlink()
        (out / "seed-5/model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + size :])
        self.assertIn("trained before with these settings", self.call(0, *words).stdout)
        settings = json.loads((out / "seed-5/summary.json").read_text())["settings"]
        self.assertEqual(settings["model"].get("precision", "single"), other)

    def test_bad_input(self):
        for words, says in [
            (["nowhere"], "CORPUS is 'nowhere', must be a folder"),
            (["synthetic", "--seeds", "1", "1"], "must differ"),
            (["synthetic", "--context"], "must be pairs"),
            (["synthetic", "--seed", "3"], "--seed is chosen by this script"),
        ]:
            done = self.call(2, *words)
            self.assertIn(says, done.stderr)
            self.assertEqual(done.stdout, "")
            self.assertFalse((self.folder / "reproduction").exists())
        self.assertIn("draws is 0", self.call(2, "synthetic", "--program", PROGRAM, *TINY, "--draws", "0").stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
