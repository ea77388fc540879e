"""calibrate.py PROGRAM: the program on a tiny model (bad input: bad_input.py). Standard library only."""
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
FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures"
MODEL, TOKENS = FIXTURES / "gelu_untied.safetensors", FIXTURES / "gelu_untied_tokens.npy"
GIVEN = ["--model", MODEL, "--pretraining", TOKENS]
TINY = [*GIVEN, "--chains", "2", "--draws", "12", "--batch-size", "2", "--evaluation-tokens", "15"]
SAMPLERS = ["sgld", "rmsprop_sgld", "sghmc", "sgnht", "leimkuhler_matthews", "exponential_integrator"]
RULES = {"dropped", "R-hat", "drift", "LLC", "bias"}


def listing(folder):
    return sorted(str(p.relative_to(folder)) for p in pathlib.Path(folder).rglob("*"))


def timeless(results):
    """All numbers but those that a clock made."""
    del results["timings"], results["reason"]
    for row in results["results"]:
        del row["ess_per_second"]
    return results


class TestCase(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="susc-calibrate-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)

    def run_program(self, *arguments):
        return subprocess.run([PROGRAM, *map(str, arguments)], cwd=self.folder, capture_output=True, text=True,
                              timeout=60)  # fmt: skip

    def succeeds(self, *arguments, output="calibration"):
        done = self.run_program(*arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(listing(self.folder / output), ["calibration.html", "calibration.json"])

        def constant(name):
            self.fail(f"calibration.json holds {name}")

        text = (self.folder / output / "calibration.json").read_text()
        return done.stdout, json.loads(text, parse_constant=constant)


class Good(TestCase):
    def test_default_grid(self):
        screen, found = self.succeeds(*TINY, "--threads", "2")
        rows = found["results"]
        self.assertEqual(len(rows), 18)
        self.assertEqual([r["n_beta"] for r in rows[::6]], [10, 30, 100])
        for row in rows:
            self.assertEqual(row["localization"], 200)
            for key in ["llc", "llc_error", "excess_loss", "excess_loss_error", "acceptance", "r_hat", "ess",
                        "ess_per_second", "ess_per_gradient", "drift"]:  # fmt: skip
                self.assertTrue(math.isfinite(row[key]), key)
            self.assertAlmostEqual(row["llc"], row["n_beta"] * row["excess_loss"], delta=1e-9 * abs(row["llc"]))
            self.assertTrue(0 <= row["acceptance"] <= 1)
            self.assertEqual(row["dropped_chains"], 0)
            self.assertLessEqual(set(row["rules_broken"]), RULES)
            self.assertEqual(row["burn_in"], max(20, round(5 / (200 * row["step_size"]))))
        for row, factor in zip(rows, [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2] * 3, strict=True):
            self.assertAlmostEqual(row["step_size"], factor / 200)
        settings = found["settings"]
        self.assertGreater(settings["scale"], 1)  # of all weights against a head's
        self.assertEqual(settings["parameters"], settings["all_parameters"])
        best = found["recommended"]
        self.assertIn(found["reason"], screen)
        if best is None:
            self.assertIn("No setting keeps every rule", found["reason"])
        else:
            self.assertEqual(rows[best]["rules_broken"], [])
            self.assertIn(found["arguments"], screen)

        # One line a setting on the screen; a page of its own.
        self.assertEqual(len(re.findall(r"^[* ] +200 +(?:10|30|100) ", screen, re.M)), 18)
        page = (self.folder / "calibration/calibration.html").read_text()
        self.assertIsNone(re.search(r"(https?:)?//|<script|<link|<img|url\(|@import", page))
        self.assertTrue(page.rstrip().endswith("</html>"))
        self.assertEqual(page.count("<svg viewBox"), 5)
        self.assertNotRegex(page, r"[ ',]-?(nan|inf)\b")

        # The same bits for another number of threads, and other ones for another seed.
        _, again = self.succeeds(*TINY, "--threads", "1", "--output", "again", output="again")
        self.assertEqual(timeless(again), timeless(found))
        _, other = self.succeeds(*TINY, "--seed", "2", "--output", "again", output="again")
        self.assertNotEqual(other["results"][0]["llc"], again["results"][0]["llc"])

    def test_samplers_and_lists(self):
        for sampler in SAMPLERS:
            with self.subTest(sampler):
                _, found = self.succeeds(*TINY, "--sampler", sampler, "--component", "l0h1+l1h0", "--n-beta", "50,20",
                                         "--localization", "400", "100")  # fmt: skip
                settings = found["settings"]
                self.assertEqual((settings["sampler"], settings["scale"]), (sampler, 1))
                rows = found["results"]
                self.assertEqual([(r["localization"], r["n_beta"]) for r in rows[::6]],
                                 [(100, 20), (100, 50), (400, 20), (400, 50)])  # fmt: skip
                page = (self.folder / "calibration/calibration.html").read_text()
                self.assertEqual(page.count("<svg viewBox"), 10)

    def test_options(self):
        _, found = self.succeeds(*TINY, "--all-weights", "same", "--burn-in", "3", "--step-size", "0.001",
                                 "--n-beta", "20")  # fmt: skip
        self.assertEqual(found["settings"]["scale"], 1)
        self.assertEqual([r["burn_in"] for r in found["results"]], [3])
        # Chains that diverge are a result, not an accident.
        screen, found = self.succeeds(*TINY, "--component", "l0h1", "--n-beta", "1e30", "--step-size", "0.001")
        self.assertEqual((found["results"][0]["dropped_chains"], found["results"][0]["llc"]), (2, None))
        self.assertIsNone(found["recommended"])
        self.assertIn("No setting keeps every rule", screen)

    def test_pretrained(self):
        """Folders of Hugging Face's; all weights against a head's, or a group's key and value."""
        for family in "gpt2", "gpt_neox", "llama":
            with self.subTest(family):
                given = ["--model", FIXTURES / family, "--pretraining", FIXTURES / family / "tokens.npy", *TINY[4:],
                         "--n-beta", "10"]  # fmt: skip
                screen, found = self.succeeds(*given)
                settings = found["settings"]
                self.assertEqual(settings["parameters"], settings["all_parameters"])
                self.assertIn(f"{settings['parameters']} parameters; component full", screen)
                self.assertGreater(settings["scale"], 1)
                self.assertTrue(all(math.isfinite(row["llc"]) for row in found["results"]))
                _, head = self.succeeds(*given, "--component", "l0h1")  # all heads are of one size
                self.assertEqual(head["settings"]["scale"], 1)
                expected = settings["parameters"] / head["settings"]["parameters"]
                self.assertAlmostEqual(settings["scale"], expected, delta=1e-4 * expected)
        _, found = self.succeeds(*given, "--component", "l0kv1")
        self.assertLess(found["settings"]["parameters"], settings["parameters"] / 10)
        self.assertEqual(found["settings"]["parameters"], 108)

    def test_help(self):
        done = self.run_program("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for option in ["--step-size", "--n-beta", "--localization", "--sampler", "--evaluation-tokens"]:
            self.assertIn(option, done.stdout)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
