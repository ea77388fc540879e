"""structural_inference.py PROGRAM [--sentencepiece]: the program on tiny inputs, good and bad.

Standard library only: .npy and .safetensors files are read and written by hand.
"""
import array
import ast
import json
import math
import os
import pathlib
import random
import re
import struct
import subprocess
import sys
import tempfile
import unittest

PROGRAM, WITH_SENTENCEPIECE = os.path.abspath(sys.argv[1]), "--sentencepiece" in sys.argv[2:]
FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures"
CODES = {"<f4": "f", "<f8": "d", "<i4": "i", "<i8": "q"}

SAMPLING = ["--draws", "8", "--chains", "2", "--burn-in", "2"]
TINY = ["--corpus", "synthetic", "--training-steps", "20", "--training-batch-size", "8", "--width", "16",
        "--heads", "2", "--context", "32", "--tokens-per-domain", "20000", "--probe-tokens", "64",
        "--evaluation-tokens", "64", "--batch-size", "4", "--components", "l0h0,l1h1", *SAMPLING]  # fmt: skip
DOMAINS = ["bigram", "phrases", "brackets", "induction"]


def read_npy(path):
    """(shape, values) of a version 1.0 file in C order."""
    data = path.read_bytes()
    assert data[:8] == b"\x93NUMPY\x01\x00", path
    length = struct.unpack("<H", data[8:10])[0]
    header = ast.literal_eval(data[10 : 10 + length].decode("ascii"))
    assert not header["fortran_order"]
    values = array.array(CODES[header["descr"]], data[10 + length :])
    assert len(values) == math.prod(header["shape"]), path
    return header["shape"], values


def write_npy(path, rows, descr="<i4"):
    shape = (len(rows), len(rows[0]))
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode() + b"\n"
    values = array.array(CODES[descr], [x for row in rows for x in row])
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + values.tobytes())
    return str(path)


def read_safetensors(path):
    """The header and, by name, the values of tensors of doubles."""
    data = path.read_bytes()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:start])
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            tensors[name] = array.array("d", data[start + begin : start + end])
    return header, tensors


def run(folder, *arguments):
    return subprocess.run([PROGRAM, *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=60)


def listing(folder):
    return sorted(str(p.relative_to(folder)) for p in pathlib.Path(folder).rglob("*"))


class TestCase(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="susc-example-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)

    def succeeds(self, *arguments):
        done = run(self.folder, *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")
        return done.stdout

    def check_results(self, results, components, probes, tokens, chosen="full", length=None):
        """Every file of a run, its shape, and that they agree with each other; `length`: of training sequences."""
        other = {"full": "restricted", "restricted": "full"}[chosen]
        modes = min(tokens, components)
        expected = {"tokens.npy": (tokens, 4), "token_losses.npy": (tokens,)}
        for suffix in ["", "_" + other]:
            expected |= {
                f"response_matrix{suffix}.npy": (probes, components),
                f"response_matrix{suffix}_error.npy": (probes, components),
                f"token_susceptibilities{suffix}.npy": (tokens, components),
                f"token_susceptibilities{suffix}_error.npy": (tokens, components),
                f"principal_components{suffix}_singular_values.npy": (modes,),
                f"principal_components{suffix}_loadings.npy": (modes, components),
                f"principal_components{suffix}_scores.npy": (tokens, modes),
            }
        if length:
            expected["pretraining.npy"] = (1024, length)
        for name, shape in expected.items():
            seen, values = read_npy(results / name)
            self.assertEqual(seen, shape, name)
            self.assertTrue(all(math.isfinite(v) for v in values), name)
        present = {name for name in listing(results) if name not in ("model.safetensors", "tokenizer.model")}
        self.assertEqual(present, set(expected) | {"summary.json", "report.html"})

        def constant(name):
            self.fail(f"summary.json holds {name}")

        summary = json.loads((results / "summary.json").read_text(), parse_constant=constant)
        for key in ["settings", "versions", "data", "components", "probes", "centring", "response_matrix",
                    "principal_components", "heads", "losses", "diagnostics", "warnings", "timings"]:  # fmt: skip
            self.assertIn(key, summary)
        self.assertEqual(summary["centring"], chosen)
        self.assertEqual((len(summary["components"]), len(summary["probes"])), (components, probes))
        table = read_npy(results / "tokens.npy")[1]
        owner = [table[4 * j] for j in range(tokens)]
        for how, suffix in [(chosen, ""), (other, "_" + other)]:
            matrix = read_npy(results / f"response_matrix{suffix}.npy")[1]
            each = read_npy(results / f"token_susceptibilities{suffix}.npy")[1]
            for p in range(probes):
                rows = [j for j in range(tokens) if owner[j] == p]
                for c in range(components):
                    value = matrix[p * components + c]
                    mean = sum(each[j * components + c] for j in rows) / len(rows)
                    self.assertAlmostEqual(value, mean, delta=1e-9 + 1e-9 * abs(value))
                    rounded = summary["response_matrix"][how]["value"][p][c]
                    self.assertAlmostEqual(rounded, value, delta=1e-4 * abs(value))
        page = (results / "report.html").read_text()
        self.assertIsNone(re.search(r"https?://(?!www\.w3\.org/)", page))  # but the names of XML name spaces
        self.assertTrue(page.rstrip().endswith("</html>"))
        return summary


class Trained(TestCase):
    def test_synthetic(self):
        output = self.succeeds(*TINY, "--output", "results", "--threads", "1")
        self.assertNotIn("trained before", output)
        self.assertEqual(listing(self.folder)[0], "results")
        summary = self.check_results(self.folder / "results", components=2, probes=4, tokens=4 * 64, length=33)
        self.assertEqual(summary["components"], ["l0h0", "l1h1"])
        self.assertEqual(summary["probes"], DOMAINS)
        self.assertEqual([h["name"] for h in summary["heads"]], ["l0h0", "l0h1", "l1h0", "l1h1"])
        self.assertEqual([d["dropped_chains"] for d in summary["diagnostics"]], [0, 0])
        self.assertEqual([d["draws"] for d in summary["diagnostics"]], [16, 16])

        # The model is used again; the arrays have the same bytes for another number of threads.
        before = {p.name: p.read_bytes() for p in (self.folder / "results").glob("*.npy")}
        output = self.succeeds(*TINY, "--output", "results", "--threads", "2")
        self.assertIn("trained before with these settings: results/model.safetensors", output)
        self.assertEqual(before, {p.name: p.read_bytes() for p in (self.folder / "results").glob("*.npy")})
        self.succeeds(*TINY, "--output", "new/folder", "--threads", "2")
        for name, content in before.items():
            self.assertEqual(content, (self.folder / "new/folder" / name).read_bytes(), name)
        self.assertEqual((self.folder / "results/model.safetensors").read_bytes(),
                         (self.folder / "new/folder/model.safetensors").read_bytes())  # fmt: skip

        # Other training settings train anew; another seed of the chains does not; a broken model is no obstacle.
        self.assertIn("trained before", self.succeeds(*TINY, "--output", "results", "--seed", "2"))
        self.assertNotEqual(before["response_matrix.npy"], (self.folder / "results/response_matrix.npy").read_bytes())
        self.assertIn("trained with other settings: training anew",
                      self.succeeds(*TINY, "--output", "results", "--training-seed", "2"))  # fmt: skip
        (self.folder / "results/model.safetensors").write_bytes(b"broken")
        self.assertIn("training anew", self.succeeds(*TINY, "--output", "results"))
        self.assertEqual(before["response_matrix.npy"], (self.folder / "results/response_matrix.npy").read_bytes())

        # The chosen centring has the plain names, and nothing of the earlier run stays under the others.
        self.succeeds(*TINY, "--output", "results", "--centring", "restricted")
        self.check_results(self.folder / "results", components=2, probes=4, tokens=4 * 64, chosen="restricted", length=33)
        self.assertEqual(before["response_matrix_restricted.npy"],
                         (self.folder / "results/response_matrix.npy").read_bytes())  # fmt: skip

    def test_text(self):
        words = random.Random(1)
        for domain in ["first", "second"]:
            folder = self.folder / "corpus" / domain
            folder.mkdir(parents=True)
            vocabulary = ["".join(words.choices("aeioubcdfg", k=words.randint(2, 7))) for _ in range(200)]
            for i in range(8):
                text = " ".join(words.choices(vocabulary, k=600))
                (folder / f"{i}.txt").write_text(text + "\n")
        size = ["--vocabulary", "300"] if WITH_SENTENCEPIECE else []
        tiny = TINY[2:]  # all but the corpus
        self.succeeds(*tiny, "--corpus", "corpus", *size)  # into results/
        summary = self.check_results(self.folder / "results", components=2, probes=3, tokens=3 * 64, length=33)
        self.assertEqual(summary["probes"], ["first", "second", "repeats"])
        self.assertEqual((self.folder / "results/tokenizer.model").exists(), WITH_SENTENCEPIECE)


class TrainedElsewhere(TestCase):
    def test_fixtures(self):
        for case in ["gelu_untied", "attention_only", "gelu_new_tied", "relu"]:
            with self.subTest(case):
                model, tokens = FIXTURES / f"{case}.safetensors", FIXTURES / f"{case}_tokens.npy"
                activation = ["--activation", "gelu"] if case == "attention_only" else []
                results = self.folder / case
                self.succeeds("--model", model, "--pretraining", tokens, "--probe", f"a={tokens}", *activation,
                              "--output", results, "--evaluation-tokens", "15", *SAMPLING)  # fmt: skip
                header, expected = read_safetensors(FIXTURES / f"{case}_gradients.safetensors")
                shape, losses = read_npy(results / "token_losses.npy")
                self.assertEqual(shape, (15,))
                self.assertLess(max(abs(a - b) for a, b in zip(losses, expected["losses"], strict=True)), 1e-4)
                layers = 1 if case == "relu" else 2
                self.check_results(results, components=2 * layers, probes=1, tokens=15)
                self.assertFalse((results / "model.safetensors").exists())

    def test_two_probes_of_other_lengths(self):
        short = write_npy(self.folder / "short.npy", [[1, 2, 3], [4, 5, 6]], "<i8")
        model, tokens = FIXTURES / "gelu_untied.safetensors", FIXTURES / "gelu_untied_tokens.npy"
        self.succeeds("--model", model, "--pretraining", tokens, "--probe", f"long={tokens}", "--probe", f"short={short}",
                      "--components", "l0h1,l0mlp,l0h0+l1h1,embed", *SAMPLING)  # fmt: skip
        summary = self.check_results(self.folder / "results", components=4, probes=2, tokens=15 + 4)
        self.assertEqual(summary["components"], ["l0h1", "l0mlp", "l0h0+l1h1", "embed"])


class Refused(TestCase):
    def setUp(self):
        super().setUp()
        self.model = FIXTURES / "gelu_untied.safetensors"
        self.tokens = FIXTURES / "gelu_untied_tokens.npy"
        (self.folder / "a_file").write_text("here first\n")
        (self.folder / "one_domain/only").mkdir(parents=True)
        (self.folder / "one_domain/only/text.txt").write_text("a few words of text, again and again\n" * 200)
        (self.folder / "no_text/empty").mkdir(parents=True)
        (self.folder / "in_the_way/model.safetensors").mkdir(parents=True)

    def refused(self, arguments, *words):
        with self.subTest(" ".join(map(str, arguments))):
            before = listing(self.folder)
            done = run(self.folder, *arguments)
            self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
            self.assertTrue(done.stderr.startswith("structural_inference: "), done.stderr)
            for word in words:
                self.assertIn(word, done.stderr)
            self.assertEqual(listing(self.folder), before)

    def trained(self, arguments, *words):
        given = arguments[::2]
        rest = [x for i in range(0, len(TINY), 2) if TINY[i] not in given for x in TINY[i : i + 2]]
        self.refused([*rest, *arguments], *words)

    def external(self, arguments, *words, model=None, pretraining=None, probe=None):
        self.refused(["--model", model or self.model, "--pretraining", pretraining or self.tokens, "--probe",
                      probe or f"a={self.tokens}", *SAMPLING, *arguments], *words)  # fmt: skip

    def test_command_line(self):
        self.refused(["--colour", "red"], "--colour")
        self.refused(["red"], "red")
        self.refused(["--draws"], "--draws")
        self.refused(["--draws", "many"], "--draws", "many")
        self.refused(["--draws", "-5"], "--draws", "-5")
        self.refused(["--draws", "99999999999999999999"], "--draws", "too large")
        self.refused(["--draws", "2.5"], "--draws", "2.5")
        self.refused(["--step-size", "small"], "--step-size", "small")
        self.refused(["--centring", "none"], "--centring", "full", "restricted")
        self.refused(["--all-weights", "none"], "--all-weights", "scaled", "same")
        self.refused(["--model", self.model, "--probe", f"a={self.tokens}"], "--pretraining")
        self.refused(["--model", self.model, "--pretraining", self.tokens], "--probe")
        self.refused(["--model", "", "--pretraining", self.tokens, "--probe", f"a={self.tokens}"], "--model")
        self.refused(["--pretraining", self.tokens], "--model")
        self.refused(["--probe", f"a={self.tokens}"], "--model")
        self.refused(["--corpus", "synthetic", "--activation", "relu"], "--activation", "--model")
        done = run(self.folder, "--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("--localization", done.stdout)

    def test_settings(self):
        self.trained(["--components", "l0h0,l7h9"], "unknown component 'l7h9'", "nearest valid names: l0h", "l1h1")
        self.trained(["--components", "l0h0,l0h0"], "l0h0", "twice")
        self.trained(["--chains", "0"], "--chains is 0")
        self.trained(["--draws", "0"], "draws is 0")
        self.trained(["--thinning", "0"], "thinning is 0")
        self.trained(["--batch-size", "0"], "batch_size is 0")
        self.trained(["--step-size", "1"], "step_size 1 is unstable with localization 300")
        self.trained(["--step-size", "0"], "step_size is 0, must be positive")
        self.trained(["--step-size", "nan"], "step_size is nan")
        self.trained(["--localization", "-5"], "localization is -5, must not be negative")
        self.trained(["--localization", "nan"], "localization is nan")
        self.trained(["--localization", "0"], "--localization 0 needs a --step-size")
        self.trained(["--n-beta", "-1"], "n_beta is -1, must be positive")
        self.trained(["--n-beta", "inf"], "n_beta is inf")
        self.trained(["--training-steps", "0"], "--training-steps is 0")
        self.trained(["--training-batch-size", "6"], "batch_size is 6, must be a multiple of 4")
        self.trained(["--learning-rate", "-1"], "--learning-rate")
        self.trained(["--learning-rate", "nan"], "--learning-rate")
        self.trained(["--weight-decay", "-1"], "--weight-decay")
        self.trained(["--tokens-per-domain", "0"], "--tokens-per-domain is 0")
        self.trained(["--probe-tokens", "0"], "--probe-tokens is 0")
        self.trained(["--evaluation-tokens", "0"], "--evaluation-tokens is 0")
        self.trained(["--context", "0"], "--context")
        self.trained(["--context", "1"], "--context")
        self.trained(["--vocabulary", "3"], "vocabulary", "3")
        self.trained(["--heads", "0"], "heads is 0")
        self.trained(["--heads", "3"], "width 16 is not a multiple of heads 3")
        self.trained(["--width", "0"], "width is 0")
        self.trained(["--width", "1000000000"], "memory")
        self.trained(["--learning-rate", "1e30"], "a smaller learning rate would help")

    def test_output(self):
        self.trained(["--output", "a_file"], "a_file", "not a folder")
        self.trained(["--output", "a_file/results"], "a_file/results")
        self.trained(["--output", ""], "output")
        self.trained(["--output", "in_the_way"], "model.safetensors")
        self.external(["--output", "a_file"], "a_file", "not a folder")
        # Folders made on the way to the output folder go, too.
        self.trained(["--output", "new/folders/results", "--draws", "0"], "draws is 0")
        self.assertEqual((self.folder / "a_file").read_text(), "here first\n")

    def test_corpus(self):
        self.trained(["--corpus", "missing"], "missing")
        self.trained(["--corpus", "a_file"], "a_file")
        self.trained(["--corpus", "one_domain"], "one_domain", "two are needed")
        self.trained(["--corpus", "no_text"], "no_text")

    def test_tokens(self):
        good = [[1, 2, 3, 4], [5, 6, 7, 8]]
        path = self.folder / "bad.npy"

        def both(*words):
            self.external([], "bad.npy", *words, pretraining=path)
            self.external([], "bad.npy", *words, probe=f"b={path}")

        both("No such file")
        write_npy(path, [[1, 2, 3, 4], [5, 6, 11, 8]])
        both("token id 11 at row 1, column 2", "vocabulary")
        write_npy(path, [[1, 2, 3, -4], [5, 6, 7, 8]])
        both("token id -4 at row 0, column 3")
        write_npy(path, [list(range(9))])
        both("sequences of 9 tokens", "context allows 8")
        write_npy(path, [[1], [2]])
        both("at least 2 tokens")
        write_npy(path, [[1.0, 2.0]], "<f4")
        both("wanted integers")
        write_npy(path, good)
        whole = path.read_bytes()
        path.write_bytes(whole[:-3])
        both("truncated")
        path.write_bytes(whole + b"\0")
        both("trailing bytes")
        path.write_bytes(b"1,2,3\n")
        both("magic string")
        path.write_bytes(b"")
        both("empty")
        self.external(["--probe", f"a={self.tokens}"], "there is a probe 'a' already")
        self.external([], "must be NAME=FILE.npy", probe=self.tokens)
        self.external([], "must be NAME=FILE.npy", probe=f"={self.tokens}")

    def test_model(self):
        path = self.folder / "bad.safetensors"
        self.external([], "bad.safetensors", "No such file", model=path)
        whole = self.model.read_bytes()
        for content, word in [(b"", "has 0 bytes"), (b"PK\3\4", "has 4 bytes"), (whole[:100], "truncated"),
                              (whole[:-8], ""), (whole + b"\0" * 8, "trailing"),
                              (whole.replace(b"W_Q", b"W_X"), ""),
                              (whole.replace(b"blocks.1.attn.b_V", b"blocks.1.attn.v_b"), "blocks.1.attn.v_b"),
                              (whole[:-8] + struct.pack("<d", math.nan), "nan")]:  # fmt: skip
            path.write_bytes(content)
            self.external([], "bad.safetensors", word, model=path)
        self.external(["--activation", "silu"], "unknown activation 'silu'; known: gelu, gelu_new, relu")
        self.external(["--components", "l2h0"], "unknown component 'l2h0'", "l0h0")
        self.external(["--width", "64"], "--width", "--model")
        self.external(["--corpus", "system"], "--corpus", "--model")
        self.external(["--batch-size", "0"], "batch_size is 0")
        self.external(["--n-beta", "1e30"], "every chain diverged", "--n-beta")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
