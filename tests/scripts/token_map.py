"""token_map.py PROGRAM SCRIPT: scripts/token_map.py on a small run, and on vectors whose groups are known. Skipped without
umap-learn."""
import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

if any(importlib.util.find_spec(name) is None for name in ("umap", "numpy")):
    sys.exit(77)

import numpy as np

PROGRAM, SCRIPT = map(os.path.abspath, sys.argv[1:3])
TINY = ["--corpus", "synthetic", "--training-steps", "20", "--training-batch-size", "8", "--width", "16", "--heads", "2",
        "--context", "32", "--tokens-per-domain", "20000", "--probe-tokens", "64", "--evaluation-tokens", "64",
        "--batch-size", "4", "--draws", "4", "--chains", "2", "--burn-in", "2"]  # fmt: skip
SCORES = "principal_components_whitened_scores.npy"


def embedded(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script', page.read_text(), re.DOTALL)[1])


class TokenMap(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory(prefix="susc-token-map-")
        cls.addClassCleanup(temporary.cleanup)
        cls.run_of_program = pathlib.Path(temporary.name) / "results"
        subprocess.run([PROGRAM, *TINY, "--output", cls.run_of_program], check=True, capture_output=True, timeout=120)

    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="susc-token-map-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        shutil.copytree(self.run_of_program, self.folder / "results")

    def call(self, code, *arguments, **environment):
        done = subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], cwd=self.folder, capture_output=True, text=True,
                              timeout=300, env=os.environ | environment)  # fmt: skip
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        return done.stdout + done.stderr

    def test_the_map_of_a_run(self):
        before = {p.name: p.read_bytes() for p in (self.folder / "results").iterdir() if p.is_file()}
        self.call(0, "results")
        coordinates = np.load(self.folder / "results/token_map.npy")
        self.assertEqual((coordinates.shape, coordinates.dtype), ((256, 2), np.float32))
        self.assertTrue(np.isfinite(coordinates).all())
        ours, theirs = (embedded(self.folder / "results" / name) for name in ("report.html", "token_map.html"))
        axes = theirs["token_map"]["axes"]
        self.assertEqual([axis["name"] for axis in axes[:3]], ["UMAP 1", "UMAP 2", "PC1"])
        shown = coordinates[ours["token_map"]["row"]]
        self.assertLess(np.abs(np.array([axis["values"] for axis in axes[:2]]).T - shown).max(), 1e-4)
        theirs["token_map"]["axes"] = axes[2:]
        self.assertEqual(ours, theirs)
        page = (self.folder / "results/token_map.html").read_text()
        self.assertEqual(page.count("<script"), (self.folder / "results/report.html").read_text().count("<script"))
        # The run itself is as it was; a second time there is the same map, with another seed another one.
        self.assertEqual(before, {name: (self.folder / "results" / name).read_bytes() for name in before})
        self.call(0, "results", "again/map.html")
        self.assertTrue(np.array_equal(coordinates, np.load(self.folder / "again/map.npy")))
        self.call(0, "results", "other.html", "--seed", "2")
        self.assertFalse(np.array_equal(coordinates, np.load(self.folder / "other.npy")))
        self.assertEqual([p.name for p in self.folder.rglob("*.partial")], [])

    def test_groups_are_apart(self):
        group = np.arange(256) % 4
        points = np.random.default_rng(1).normal(size=(256, 6)) + 30 * np.eye(6)[group]
        np.save(self.folder / "results" / SCORES, points)
        self.call(0, "results")
        found = np.load(self.folder / "results/token_map.npy").astype(float)
        distances = np.linalg.norm(found[:, None] - found[None], axis=2) + np.diag(np.full(256, np.inf))
        self.assertTrue((group[distances.argmin(axis=1)] == group).all())

    def test_what_is_wrong_is_said(self):
        scores = self.folder / "results" / SCORES
        self.assertIn("absent", self.call(2, "absent"))
        self.assertIn("must end in .html", self.call(2, "results", "map.png"))
        (self.folder / "hidden").mkdir()
        (self.folder / "hidden/umap.py").write_text("raise ImportError(\"No module named 'umap'\")\n")
        self.assertIn("pip install umap-learn", self.call(2, "results", PYTHONPATH=str(self.folder / "hidden")))
        np.save(scores, np.zeros((250, 2)))
        self.assertIn("the report has 256 tokens, the scores 250", self.call(2, "results"))
        np.save(scores, np.full((256, 2), np.nan))
        self.assertIn("finite numbers", self.call(2, "results"))
        scores.unlink()
        self.assertIn(SCORES, self.call(2, "results"))
        shutil.copy(self.folder / "results/tokens.npy", scores)
        (self.folder / "results/report.html").write_text("<html></html>")
        self.assertIn("not a report", self.call(2, "results"))
        self.assertFalse((self.folder / "results/token_map.html").exists())


unittest.main(argv=sys.argv[:1])
