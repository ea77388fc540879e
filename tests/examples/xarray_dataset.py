"""xarray_dataset.py STRUCTURAL_INFERENCE DEVELOPMENT: results.nc and development.nc as xarray opens them, beside the .npy
files. Skipped without xarray and netCDF4, which may be those of the system's Python, where Debian's packages are."""
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

SYSTEM = "/usr/bin/python3"
if any(importlib.util.find_spec(name) is None for name in ("xarray", "netCDF4", "numpy")):
    if sys.executable != SYSTEM and os.access(SYSTEM, os.X_OK):
        os.execv(SYSTEM, [SYSTEM, *sys.argv])
    sys.exit(77)

import numpy as np
import xarray

PROGRAM, DEVELOPMENT = map(os.path.abspath, sys.argv[1:3])
TINY = ["--corpus", "synthetic", "--training-steps", "20", "--training-batch-size", "8", "--width", "16",
        "--heads", "2", "--context", "32", "--tokens-per-domain", "20000", "--probe-tokens", "64",
        "--evaluation-tokens", "64", "--batch-size", "4", "--components", "l0h0,l1h1", "--draws", "8", "--chains", "3",
        "--burn-in", "2", "--centring", "restricted", "--snapshots", "3"]  # fmt: skip
FILES = {"response_matrix": "response_matrix{}", "response_matrix_error": "response_matrix{}_error",
         "token_susceptibilities": "token_susceptibilities{}",
         "token_susceptibilities_error": "token_susceptibilities{}_error",
         "singular_values": "principal_components{}_singular_values", "loadings": "principal_components{}_loadings",
         "scores": "principal_components{}_scores"}  # fmt: skip


class Results(unittest.TestCase):
    def run_in(self, folder, *arguments):
        done = subprocess.run([PROGRAM, *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_results(self):
        with tempfile.TemporaryDirectory(prefix="susc-xarray-") as name:
            folder = pathlib.Path(name)
            self.run_in(folder, *TINY, "--threads", "1")
            results = folder / "results"
            with xarray.open_dataset(results / "results.nc") as opened:
                dataset = opened.load()
            self.check(dataset, results)
            # The same bytes for another number of threads.
            before = (results / "results.nc").read_bytes()
            self.run_in(folder, *TINY, "--threads", "2")
            self.assertEqual(before, (results / "results.nc").read_bytes())
            self.snapshot(folder, dataset)

    def check(self, dataset, results):
        summary = json.loads((results / "summary.json").read_text())
        tokens = np.load(results / "tokens.npy")
        sizes = {"checkpoint": 1, "centring": 2, "component": 2, "probe": 4, "token": len(tokens), "mode": 2, "chain": 3,
                 "draw": 8, "head": 4, "pattern": 8}  # fmt: skip
        self.assertEqual(dict(dataset.sizes), sizes)
        self.assertEqual(list(dataset.component.values), ["l0h0", "l1h1"])
        self.assertEqual(list(dataset.probe.values), summary["probes"])
        self.assertEqual(list(dataset["head"].values), ["l0h0", "l0h1", "l1h0", "l1h1"])
        self.assertEqual(list(dataset.checkpoint.values), [20])
        self.assertEqual(list(dataset.chain.values), [0, 1, 2])
        self.assertEqual(list(dataset.token.values), list(range(len(tokens))))
        here = dataset.sel(checkpoint=20)
        for variable, file in FILES.items():
            for centring, suffix in [("restricted", ""), ("full", "_full")]:
                expected = np.load(results / (file.format(suffix) + ".npy"))
                np.testing.assert_array_equal(here[variable].sel(centring=centring), expected, variable)
            self.assertTrue(dataset[variable].attrs["long_name"])
        self.assertEqual(dataset.response_matrix.dims, ("checkpoint", "centring", "probe", "component"))
        self.assertEqual(dataset.response_matrix.attrs["units"], "nats^2")
        np.testing.assert_array_equal(here.token_losses, np.load(results / "token_losses.npy"))
        for column, name in enumerate(["token_probe", "token_sequence", "token_position", "token_id"]):
            self.assertIn(name, dataset.coords)
            np.testing.assert_array_equal(dataset[name], tokens[:, column])
        self.assertEqual(dataset.token_pattern.dtype, bool)
        np.testing.assert_array_equal(dataset.token_pattern, np.load(results / "token_patterns.npy") == 1)
        self.assertEqual(dataset.pattern.values[3], "induction")
        texts = {t["token"]: t["row"] for mode in summary["top_tokens"]["full"] for t in mode["highest"]}
        self.assertEqual([str(dataset.token_text.values[row]) for row in texts.values()], list(texts))
        # A probe's mean over its tokens is its entry of the response matrix.
        means = dataset.token_susceptibilities.groupby("token_probe").mean()
        np.testing.assert_allclose(means.transpose(..., "token_probe", "component"), dataset.response_matrix, rtol=1e-9)
        for i, found in enumerate(summary["diagnostics"]):
            one = here.isel(component=i)
            for variable, field in [("learning_coefficient", "llc"), ("learning_coefficient_error", "llc_error"),
                                    ("mean_observable", "mean_observable"), ("r_hat", "r_hat"),
                                    ("effective_sample_size", "ess"), ("draws", "draws"),
                                    ("localization", "localization"), ("step_size", "step_size")]:  # fmt: skip
                np.testing.assert_allclose(float(one[variable]), found[field], rtol=1e-4, err_msg=variable)
            np.testing.assert_allclose(one.observable_trace.mean(), found["mean_observable"], rtol=1e-4)
            llc = summary["settings"]["n_beta"] * one.loss_trace.mean()
            np.testing.assert_allclose(llc, found["llc"], rtol=1e-4)
        for variable in "localization", "step_size":
            np.testing.assert_allclose(float(here[f"{variable}_all_weights"]), summary["all_weights"][variable], rtol=1e-4)
        self.assertFalse(dataset.diverged.values.any())
        np.testing.assert_allclose(here.prefix_matching, [h["prefix_matching"] for h in summary["heads"]], rtol=1e-4)
        settings = dataset.attrs
        self.assertEqual((settings["n_beta"], settings["seed"], settings["sampler"], settings["model_training_seed"]),
                         (30.0, 1, "leimkuhler_matthews", 1))  # fmt: skip
        self.assertEqual(settings["susc_version"], summary["versions"]["susc"])
        self.assertEqual(settings["instruction_set"], summary["versions"]["instruction_set"])
        self.assertIn("2504.18274", settings["references"])

    def snapshot(self, folder, dataset):
        """Sampled around a snapshot, whose step is known; the two runs are put together by xarray."""
        snapshot = min((folder / "results/snapshots").glob("*.safetensors"), key=lambda path: int(path.stem))
        tokens = folder / "few.npy"
        np.save(tokens, np.load(folder / "results/pretraining.npy")[:8])
        self.run_in(folder, "--model", snapshot, "--pretraining", tokens, "--probe", f"a={tokens}", "--output", "early",
                    "--components", "l0h0,l1h1", "--draws", "8", "--chains", "3", "--burn-in", "2",
                    "--evaluation-tokens", "64")  # fmt: skip
        with xarray.open_dataset(folder / "early/results.nc") as early:
            self.assertEqual(list(early.checkpoint.values), [int(snapshot.stem)])
            self.assertNotIn("token_text", early)
            both = xarray.concat([early.learning_coefficient, dataset.learning_coefficient], "checkpoint")
            self.assertEqual(list(both.checkpoint.values), [int(snapshot.stem), 20])

    def test_development(self):
        names = {"losses": "losses", "learning_coefficient": "llc", "learning_coefficient_error": "llc_error",
                 "learning_coefficient_all_weights": "llc_all_weights",
                 "learning_coefficient_all_weights_error": "llc_all_weights_error", "response_matrix": "susceptibilities",
                 "response_matrix_error": "susceptibilities_error", "token_susceptibilities": "example_susceptibilities",
                 "prefix_matching": "prefix_matching", "previous_token": "previous_token",
                 "singular_values": "singular_values", "loadings": "loadings", "scores": "scores",
                 "matching_residual": "matching_residual", "rotation_residual": "rotation_residual"}  # fmt: skip
        with tempfile.TemporaryDirectory(prefix="susc-xarray-") as name:
            folder = pathlib.Path(name)
            words = dict(zip(TINY[::2], TINY[1::2]))
            del words["--snapshots"]
            # A pilot run chooses the localization of each, of a union too.
            words["--components"] = "l0h0,l1h0+l1h1"
            done = subprocess.run([DEVELOPMENT, *(word for pair in words.items() for word in pair), "--checkpoints", "3"],
                                  cwd=folder, capture_output=True, text=True, timeout=120)  # fmt: skip
            self.assertEqual(done.returncode, 0, done.stderr)
            out = folder / "development"
            with xarray.open_dataset(out / "development.nc") as opened:
                dataset = opened.load()
            tokens, summary = np.load(out / "tokens.npy"), json.loads((out / "development.json").read_text())
            self.assertEqual(dict(dataset.sizes), {"checkpoint": 3, "component": 2, "probe": 4, "token": len(tokens),
                                                   "mode": 2, "head": 4})  # fmt: skip
            self.assertEqual(list(dataset.checkpoint.values), list(np.load(out / "steps.npy")))
            self.assertEqual(list(dataset.component.values), ["l0h0", "l1h0+l1h1"])
            self.assertEqual(list(dataset.probe.values), summary["probes"])
            self.assertEqual(list(dataset["head"].values), ["l0h0", "l0h1", "l1h0", "l1h1"])
            for variable, file in names.items():
                np.testing.assert_array_equal(dataset[variable], np.load(out / f"{file}.npy"), variable)
                self.assertTrue(dataset[variable].attrs["long_name"])
            sampled = {"localization", "step_size", "localization_all_weights", "step_size_all_weights"}
            self.assertEqual(set(dataset.data_vars), set(names) | sampled)
            chosen = summary["settings"]["localization"]
            self.assertEqual(list(chosen), ["full", "l0h0", "l1h0+l1h1"])
            for i, component in enumerate(["l0h0", "l1h0+l1h1"]):
                self.assertEqual(float(dataset.localization[i]), chosen[component])
            self.assertEqual(float(dataset.localization_all_weights), chosen["full"])
            np.testing.assert_allclose(dataset.step_size * dataset.localization, 1, rtol=1e-12)
            self.assertEqual(dataset.token_susceptibilities.dims, ("checkpoint", "token", "component"))
            for column, coordinate in enumerate(["token_probe", "token_sequence", "token_position", "token_id"]):
                self.assertIn(coordinate, dataset.token_susceptibilities.coords)
                np.testing.assert_array_equal(dataset[coordinate], tokens[:, column])
            self.assertEqual((dataset.attrs["n_beta"], dataset.attrs["model_width"]), (30.0, 16))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
