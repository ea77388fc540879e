"""tokenize_texts.py PROGRAM: scripts/tokenize.py with a tokenizer whose ids are known. Skipped without `tokenizers`."""
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

if any(importlib.util.find_spec(name) is None for name in ("tokenizers", "numpy")):
    sys.exit(77)

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers

PROGRAM = os.path.abspath(sys.argv[1])


class Tokenize(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name)
        words = {word: i for i, word in enumerate(["<end>", "<begin>", "a", "b", "c", "?"])}
        tokenizer = Tokenizer(models.WordLevel(words, unk_token="?"))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        tokenizer.save(str(self.path / "tokenizer.json"))
        (self.path / "one.txt").write_text("a b c a\n")
        (self.path / "two.jsonl").write_text("\n".join(json.dumps({"text": t}) for t in ("b x", "c c")) + "\n")

    def tearDown(self):
        self.folder.cleanup()

    def run_program(self, *arguments):
        return subprocess.run([sys.executable, PROGRAM, "--tokenizer", self.path, "--output", self.path / "ids.npy", *arguments],
                              capture_output=True, text=True, cwd=self.path)

    def ids(self, *arguments):
        done = self.run_program(*arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        ids = np.load(self.path / "ids.npy")
        self.assertEqual(ids.dtype, np.int32)
        return ids.tolist()

    def test_documents_are_joined_and_cut(self):
        self.assertEqual(self.ids("--length", "3", "one.txt", "two.jsonl"), [[2, 3, 4], [2, 3, 5]])  # c c is left over
        self.assertEqual(self.ids("--length", "5", "--separator", "<end>", "one.txt", "two.jsonl"),
                         [[2, 3, 4, 2, 0], [3, 5, 0, 4, 4]])
        self.assertEqual(self.ids("--length", "4", "--begin", "<begin>", "one.txt"), [[1, 2, 3, 4]])

    def test_what_is_wrong_is_said(self):
        for arguments, words in [
            (("--length", "1", "one.txt"), "must be at least 2"),
            (("--length", "5", "one.txt"), "too few tokens"),
            (("--length", "2", "absent.txt"), "absent.txt"),
            (("--length", "2", "--begin", "<s>", "one.txt"), "no token '<s>'"),
            (("--length", "2", "--tokenizer", "absent.json", "one.txt"), "absent.json: no such file"),
            (("--length", "2", "--tokenizer", "one.txt", "one.txt"), "one.txt: "),
        ]:
            done = self.run_program(*arguments)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(words, done.stderr)
            self.assertNotIn("Traceback", done.stderr)


unittest.main(argv=sys.argv[:1])
