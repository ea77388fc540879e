"""train.py PROGRAM SCRIPT [--sentencepiece]: scripts/train.py beside structural_inference: the same weights after the same
steps, the same losses, resumed or not. Skipped without PyTorch 2 and safetensors."""
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
import unittest

if any(importlib.util.find_spec(name) is None for name in ("torch", "safetensors", "numpy")):
    sys.exit(77)
if int(importlib.metadata.version("torch").split(".")[0]) < 2:
    sys.exit(77)

import numpy as np
from safetensors.numpy import load_file

PROGRAM, SCRIPT = map(os.path.abspath, sys.argv[1:3])
CHECK_LOSSES = pathlib.Path(__file__).resolve().parents[1] / "fixtures/check_losses.py"
SIZE = ["--vocabulary", "300"] if "--sentencepiece" in sys.argv[3:] else []  # else the tokens are bytes
STEPS = 30
TINY = ["--training-batch-size", "8", "--width", "16", "--heads", "2", "--context", "32",
        "--tokens-per-domain", "20000", "--probe-tokens", "64", "--evaluation-tokens", "64", "--batch-size", "4",
        "--components", "l0h0", "--draws", "4", "--chains", "2", "--burn-in", "2", "--snapshots", "4"]  # fmt: skip


class Train(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="susc-train-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)

    def call(self, code, *command):
        done = subprocess.run([str(word) for word in command], cwd=self.folder, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def program(self, output, *more, steps=STEPS):
        corpus = [] if "--corpus" in more else ["--corpus", "synthetic"]
        return self.call(0, PROGRAM, *TINY, *corpus, "--training-steps", steps, "--output", output, *more)

    def train(self, output, *more, code=0):
        return self.call(code, sys.executable, SCRIPT, f"{output}/prepared", "--device", "cpu", *more)

    def corpus(self):
        """Two domains of text: with the repeats a mixture of unequal weights."""
        words = random.Random(1)
        for domain in ("first", "second"):
            folder = self.folder / "corpus" / domain
            folder.mkdir(parents=True)
            vocabulary = ["".join(words.choices("aeioubcdfg", k=words.randint(2, 7))) for _ in range(200)]
            for i in range(8):
                (folder / f"{i}.txt").write_text(" ".join(words.choices(vocabulary, k=600)) + "\n")
        return ["--corpus", "corpus", *SIZE]

    def test_the_same_training(self):
        for number, architecture in enumerate(([], ["--mlp-width", "24", "--tied"], self.corpus())):
            with self.subTest(architecture):
                name = f"ours{number}"
                self.program(name, *architecture)
                self.program(name + "_torch", *architecture, "--prepare")
                self.train(name + "_torch")
                ours, theirs = self.folder / name, self.folder / (name + "_torch")
                begin = load_file(theirs / "prepared/initial.safetensors")
                steps = sorted(int(path.stem) for path in (ours / "snapshots").iterdir())
                self.assertEqual(steps, sorted(int(path.stem) for path in (theirs / "snapshots").iterdir()))
                self.assertEqual((steps[0], steps[-1]), (1, STEPS))
                for step in steps:
                    a, b = (load_file(folder / f"snapshots/{step}.safetensors") for folder in (ours, theirs))
                    self.assertEqual(a.keys(), b.keys())
                    for tensor in a:
                        # The loss does not depend on the keys' biases: their gradient is rounding, which AdamW scales up.
                        if tensor.endswith("b_K"):
                            continue
                        self.assertEqual(a[tensor].dtype, b[tensor].dtype)
                        moved = np.linalg.norm(a[tensor] - begin[tensor])
                        self.assertGreater(moved, 0, tensor)
                        # Where a gradient is as small as its rounding, so is the agreement of AdamW's first step: hence norms.
                        difference = np.linalg.norm(a[tensor] - b[tensor])
                        self.assertLess(difference, 2e-3 * moved, f"{tensor} after step {step}")
                # The model is taken for the one that would be trained, and its losses are those of PyTorch.
                self.assertIn("trained before with these settings", self.program(name + "_torch", *architecture))
                mine, other = (np.load(folder / "token_losses.npy") for folder in (ours, theirs))
                self.assertLess(np.abs(mine - other).max(), 5e-3)
                probe = np.load(theirs / "prepared/probe_0.npy")
                count = probe.shape[0] * (probe.shape[1] - 1)
                np.save(self.folder / "first.npy", other[:count])
                self.call(0, sys.executable, CHECK_LOSSES, "--model", theirs / "model.safetensors", "--tokens",
                          theirs / "prepared/probe_0.npy", "--compare", self.folder / "first.npy")  # fmt: skip

    def test_interrupted_and_killed(self):
        long = 400
        for output in ("whole", "broken"):
            self.program(output, "--prepare", steps=long)
        self.train("whole", "--checkpoint-seconds", "1000")
        for sent in (signal.SIGTERM, signal.SIGKILL):
            process = subprocess.Popen([sys.executable, SCRIPT, "broken/prepared", "--device", "cpu", "--checkpoint-seconds", "0"],
                                       cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
            before = time.monotonic()
            while not (self.folder / "broken/prepared/checkpoint.pt").exists():
                self.assertLess(time.monotonic() - before, 60)
                self.assertIsNone(process.poll())
                time.sleep(.01)
            if sent == signal.SIGTERM:
                self.assertIn("another process is training from it", self.train("broken", code=2))
            else:
                time.sleep(3)
            process.send_signal(sent)
            self.assertEqual(process.wait(), 75 if sent == signal.SIGTERM else -sent)
        self.assertFalse((self.folder / "broken/model.safetensors").exists())
        training = self.folder / "broken/prepared/training.json"
        kept = training.read_text()
        training.write_text(json.dumps(json.loads(kept) | {"options": json.loads(kept)["options"] | {"weight_decay": 0.1}}))
        self.assertIn("other settings", self.train("broken", code=2))
        training.write_text(kept)
        self.assertIn("Going on after step", self.train("broken"))
        a, b = (load_file(self.folder / f"{name}/model.safetensors") for name in ("whole", "broken"))
        for tensor in a:
            self.assertTrue(np.array_equal(a[tensor], b[tensor]), tensor)
        self.assertEqual([path.name for path in (self.folder / "broken/prepared").glob("*partial*")], [])
        self.assertFalse((self.folder / "broken/prepared/checkpoint.pt").exists())

    def test_bfloat16(self):
        self.program("low", "--prepare")
        self.train("low", "--precision", "bfloat16")
        self.train("low", "--output", "exact/model.safetensors")
        a, b = (load_file(self.folder / f"{name}/model.safetensors") for name in ("low", "exact"))
        begin = load_file(self.folder / "low/prepared/initial.safetensors")
        difference = np.linalg.norm(a["unembed.W_U"] - b["unembed.W_U"]) / np.linalg.norm(b["unembed.W_U"] - begin["unembed.W_U"])
        self.assertTrue(1e-4 < difference < .3, difference)

    def test_what_is_wrong_is_said(self):
        self.assertIn("absent/prepared", self.train("absent", code=2))
        self.program("short", "--prepare")
        (self.folder / "short/prepared/training_1.npy").unlink()
        message = self.train("short", code=2)
        self.assertIn("training_1.npy", message)
        self.assertNotIn("Traceback", message)


unittest.main(argv=sys.argv[:1])
