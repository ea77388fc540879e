"""bad_input.py STRUCTURAL_INFERENCE CALIBRATE DEVELOPMENT: command lines that make no sense, and damaged files.

Each must end with exit code 2, one line on stderr that begins with the program's name and holds the words given, and
must leave every folder as it was. Standard library only.
"""
import array
import json
import math
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

PROGRAMS = {os.path.basename(path): os.path.abspath(path) for path in sys.argv[1:4]}
FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures"
MODEL, TOKENS = FIXTURES / "gelu_untied.safetensors", FIXTURES / "gelu_untied_tokens.npy"
GIVEN = ["--localization", "300"]
HUGE, LONG = 2**64 - 1, "x" * 300

SAMPLING = ["--draws", "8", "--chains", "2", "--burn-in", "2"]
TRAINED = ["--corpus", "synthetic", "--training-steps", "4", "--training-batch-size", "8", "--width", "16",
           "--heads", "2", "--context", "32", "--tokens-per-domain", "5000", "--probe-tokens", "64",
           "--evaluation-tokens", "64", "--batch-size", "4", *SAMPLING]  # fmt: skip
EXTERNAL = ["--model", MODEL, "--pretraining", TOKENS, "--probe", f"a={TOKENS}", *SAMPLING]
CALIBRATED = ["--model", MODEL, "--pretraining", TOKENS]
SAMPLERS = ["sgld", "rmsprop_sgld", "sghmc", "sgnht", "leimkuhler_matthews", "exponential_integrator"]


def changed(given, arguments):
    """The options given, but for those that `arguments` sets again."""
    again = {a for a in arguments if str(a).startswith("--")}
    return [x for i in range(0, len(given), 2) if given[i] not in again for x in given[i : i + 2]] + arguments


def npy(rows, code="i", descr="<i4", shape=None, order=False):
    shape = shape or (len(rows), len(rows[0]))
    header = repr({"descr": descr, "fortran_order": order, "shape": shape}).encode() + b"\n"
    values = array.array(code, [x for row in rows for x in row])
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + values.tobytes()


def state(folder):
    """Every name below the folder, and what files hold."""
    return {str(p.relative_to(folder)): p.is_file() and not p.is_symlink() and p.read_bytes()
            for p in pathlib.Path(folder).rglob("*")}  # fmt: skip


class BadInput(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="susc-bad-input-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        (self.folder / "a_file").write_text("here first\n")
        (self.folder / "loop").symlink_to("loop")
        (self.folder / "one_domain/only").mkdir(parents=True)
        (self.folder / "one_domain/only/text.txt").write_text("a few words of text, again and again\n" * 200)
        (self.folder / "no_text/empty").mkdir(parents=True)
        (self.folder / "in_the_way/model.safetensors").mkdir(parents=True)
        (self.folder / "results").mkdir()
        (self.folder / "results/of_yesterday").write_text("hours of work\n")

    def refused(self, program, arguments, *words):
        arguments = [str(a) for a in arguments]
        with self.subTest(f"{program} {' '.join(arguments)[:300]}"):
            before = state(self.folder)
            done = subprocess.run([PROGRAMS[program], *arguments], cwd=self.folder, capture_output=True, text=True,
                                  timeout=100)  # fmt: skip
            self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
            self.assertTrue(done.stderr.startswith(program + ": "), done.stderr)
            self.assertTrue(done.stderr[:-1].isprintable(), done.stderr)
            for word in words:
                self.assertIn(str(word), done.stderr)
            self.assertEqual(state(self.folder), before)

    def all_refused(self, program, given, table):
        for arguments, *words in table:
            self.refused(program, changed(given, arguments), *words)

    def test_inference_command_line(self):
        self.all_refused("structural_inference", [], [
            (["--colour", "red"], "--colour"),
            (["red"], "red"),
            (["--draws"], "--draws"),
            (["--draws", "many"], "--draws", "many"),
            (["--draws", "-5"], "--draws", "-5"),
            (["--draws", "99999999999999999999"], "--draws", "too large"),
            (["--draws", "2.5"], "--draws", "2.5"),
            (["--step-size", "small"], "--step-size", "small"),
            (["--centring", "none"], "--centring", "full", "restricted"),
            (["--all-weights", "none"], "--all-weights", "scaled", "same"),
            (["--sampler", "gibbs"], "--sampler", "leimkuhler_matthews", "sgld"),
            (["--model", MODEL, "--probe", f"a={TOKENS}"], "--pretraining"),
            (["--model", MODEL, "--pretraining", TOKENS], "--probe"),
            (["--model", "", "--pretraining", TOKENS, "--probe", f"a={TOKENS}"], "--model"),
            (["--pretraining", TOKENS], "--model"),
            (["--probe", f"a={TOKENS}"], "--model"),
            (["--corpus", "synthetic", "--activation", "relu"], "--activation", "--model"),
            (["--corpus", "synthetic", "--tokenizer", "tokenizer.model"], "--tokenizer", "--model"),
            (["--corpus", "synthetic", "--data-seed", "-1"], "--data-seed", "-1"),
        ])  # fmt: skip

    def test_inference_settings(self):
        self.all_refused("structural_inference", TRAINED, [
            (["--components", "l0h0,l7h9"], "unknown component 'l7h9'", "nearest valid names: l0h", "l1h1"),
            (["--components", "l0h0,L1H1"], "unknown component 'L1H1'", "nearest valid names: "),
            (["--components", "l0h0+embd"], "unknown component 'embd'", "nearest valid names: embed"),
            (["--components", "l0h0,l0h0"], "l0h0", "twice"),
            (["--components", ""], "unknown component ''"),
            (["--chains", "0"], "--chains is 0"),
            (["--draws", "0"], "draws is 0"),
            (["--thinning", "0"], "thinning is 0"),
            (["--batch-size", "0"], "batch_size is 0"),
            (["--thinning", 2**63, "--draws", "2"], f"draws 2 x thinning {2**63}", "2^48 steps"),
            (["--burn-in", HUGE], f"burn_in {HUGE}", "2^48 steps"),
            ([*GIVEN, "--step-size", "1"], "step_size 1 is unstable with localization 300"),
            ([*GIVEN, "--step-size", "0"], "step_size is 0, must be positive"),
            ([*GIVEN, "--step-size", "-1e-3"], "step_size is -0.001, must be positive"),
            ([*GIVEN, "--step-size", "nan"], "step_size is nan"),
            ([*GIVEN, "--step-size", "inf"], "step_size is inf, must be positive and finite"),
            (["--step-size", "1e-3"], "--step-size needs --localization"),
            (["--all-weights", "same"], "--all-weights needs --localization"),
            ([*GIVEN, "--pilot-target", ".1"], "--pilot-target goes without --localization"),
            (["--pilot-target", "0"], "the pilot's target is 0, must be positive"),
            (["--pilot-target", "nan"], "the pilot's target is nan, must be positive"),
            (["--localization", "-5"], "localization is -5, must not be negative"),
            (["--localization", "nan"], "localization is nan"),
            (["--localization", "0"], "--localization 0 needs a --step-size"),
            (["--n-beta", "-1"], "n_beta is -1, must be positive"),
            (["--n-beta", "inf"], "n_beta is inf"),
            (["--checkpoint-seconds", "-1"], "--checkpoint-seconds is -1, must not be negative"),
            (["--checkpoint-seconds", "nan"], "--checkpoint-seconds is nan"),
            (["--training-steps", "0"], "--training-steps is 0"),
            (["--training-batch-size", "6"], "batch_size is 6, must be a multiple of 4"),
            (["--training-batch-size", "0"], "batch_size is 0, must be a multiple of 4"),
            (["--learning-rate", "-1"], "--learning-rate"),
            (["--learning-rate", "nan"], "--learning-rate"),
            (["--weight-decay", "-1"], "--weight-decay"),
            (["--tokens-per-domain", "0"], "--tokens-per-domain is 0"),
            (["--probe-tokens", "0"], "--probe-tokens is 0"),
            (["--evaluation-tokens", "0"], "--evaluation-tokens is 0"),
            (["--context", "0"], "--context"),
            (["--context", "1"], "--context"),
            (["--vocabulary", "3"], "vocabulary", "3"),
            (["--heads", "0"], "heads is 0"),
            (["--heads", "3"], "width 16 is not a multiple of heads 3"),
            (["--width", "0"], "width is 0"),
            (["--learning-rate", "1e30"], "a smaller learning rate would help"),
        ])  # fmt: skip

    def test_inference_beyond_memory(self):
        self.all_refused("structural_inference", TRAINED, [
            (["--width", "1000000"], "memory", "this machine has"),
            (["--width", "1000000000"], "width 1000000000", "fewer than 2^60"),
            (["--layers", "1000000000"], "memory", "this machine has", "--layers"),
            (["--layers", 2**63], f"layers {2**63}", "fewer than 2^60"),
            (["--mlp-width", HUGE], f"mlp_width {HUGE}", "fewer than 2^60"),
            (["--vocabulary", HUGE], f"a vocabulary of {HUGE} is too large"),
            (["--training-batch-size", 10**12], "not enough memory for these settings"),
        ])  # fmt: skip

    def test_inference_folders(self):
        self.all_refused("structural_inference", TRAINED, [
            (["--output", "a_file"], "a_file", "not a folder"),
            (["--output", "a_file/results"], "a_file/results"),
            (["--output", ""], "output"),
            (["--output", LONG], LONG, "too long"),
            (["--output", "loop"], "'loop'", "symbolic links"),
            (["--output", "in_the_way"], "model.safetensors"),
            # Folders made on the way to the output folder go, too.
            (["--output", "new/folders/results", "--draws", "0"], "draws is 0"),
            (["--run-directory", "a_file"], "--run-directory", "'a_file'", "not a folder"),
            (["--run-directory", "a_file/run"], "--run-directory", "'a_file/run'", "Not a directory"),
            (["--run-directory", LONG], "--run-directory", LONG, "too long"),
            (["--run-directory", "new/run", "--draws", "0"], "draws is 0"),
            (["--corpus", "missing"], "missing"),
            (["--corpus", "a_file"], "a_file"),
            (["--corpus", "loop"], "'loop'"),
            (["--corpus", "one_domain"], "one_domain", "two are needed"),
            (["--corpus", "no_text"], "no_text"),
        ])  # fmt: skip
        self.all_refused("structural_inference", EXTERNAL, [(["--output", "a_file"], "a_file", "not a folder")])

    def test_inference_with_a_model(self):
        self.all_refused("structural_inference", EXTERNAL, [
            (["--probe", f"a={TOKENS}", "--probe", f"a={TOKENS}"], "there is a probe 'a' already"),
            (["--probe", TOKENS], "must be NAME=FILE.npy"),
            (["--probe", f"={TOKENS}"], "must be NAME=FILE.npy"),
            (["--probe", "a="], "file ''", "No such file"),
            (["--probe", f"a={FIXTURES}"], FIXTURES, "not a regular file"),
            (["--pretraining", FIXTURES], FIXTURES, "not a regular file"),
            (["--pretraining", "a_file/tokens.npy"], "a_file/tokens.npy", "Not a directory"),
            (["--pretraining", "/dev/zero"], "/dev/zero", "not a regular file"),
            (["--model", "bad.safetensors"], "bad.safetensors", "No such file"),
            (["--model", "loop"], "'loop'", "symbolic links"),
            (["--model", FIXTURES], f"{FIXTURES}/config.json", "No such file"),
            (["--model", f"{FIXTURES}/llama", "--activation", "relu"], "--activation is for a file"),
            (["--tokenizer", f"{FIXTURES}/llama/config.json"], "config.json", "model.vocab", "no tokenizer.json"),
            (["--activation", "silu"], "unknown activation 'silu'; known: gelu, gelu_new, relu"),
            (["--components", "l2h0"], "unknown component 'l2h0'", "l0h0"),
            (["--width", "64"], "--width", "--model"),
            (["--corpus", "system"], "--corpus", "--model"),
            (["--prepare"], "--prepare", "--model"),
            (["--tokenizer", "absent.model"], "absent.model"),
            (["--batch-size", "0"], "batch_size is 0"),
            (["--chains", HUGE], f"chains is {HUGE}", "2^48 steps"),
            ([*GIVEN, "--n-beta", "1e30"], "every chain diverged", "--n-beta"),
            (["--run-directory", "results"], "'results'", "holds 'of_yesterday' and no run"),
        ])  # fmt: skip

    def test_tokens(self):
        good = [[1, 2, 3, 4], [5, 6, 7, 8]]
        whole, path = npy(good), self.folder / "bad.npy"
        for content, *words in [
            (npy([[1, 2, 3, 4], [5, 6, 11, 8]]), "token id 11 at row 1, column 2", "vocabulary"),
            (npy([[1, 2, 3, -4], [5, 6, 7, 8]]), "token id -4 at row 0, column 3"),
            (npy([list(range(9))]), "sequences of 9 tokens", "context allows 8"),
            (npy([[1], [2]]), "at least 2 tokens"),
            (npy([[1.0, 2.0]], "f", "<f4"), "'<f4'", "wanted integers"),
            (npy(good, descr=">i4"), "'>i4'", "big-endian", "'<i4'"),
            (npy(good, order=True), "'fortran_order' is True, wanted False"),
            (npy(good, shape=(8,)), "(8,)", "wanted 2 dimensions"),
            (npy(good, shape=(2**63, 4)), f"({2**63}, 4)", "64 bits"),
            (npy(good, shape=(2**40, 4)), "needs 17592186044416 bytes", "truncated"),
            (npy([[1, 2**33]], "q", "<i8"), "8589934592 at index (0, 1)", "32-bit integer"),
            (whole[:-3], "truncated"),
            (whole + b"\0", "trailing bytes"),
            (whole[:8] + b"\xff\xff" + whole[10:], "header length is 65535", "truncated"),
            (b"1,2,3\n", "magic string"),
            (b"", "empty"),
        ]:  # fmt: skip
            path.write_bytes(content)
            self.refused("structural_inference", changed(EXTERNAL, ["--pretraining", path]), "bad.npy", *words)
            self.refused("structural_inference", changed(EXTERNAL, ["--probe", f"b={path}"]), "bad.npy", *words)
            self.refused("calibrate", changed(CALIBRATED, ["--pretraining", path]), "bad.npy", *words)

    def test_model_files(self):
        whole, path = MODEL.read_bytes(), self.folder / "bad.safetensors"
        size = struct.unpack("<Q", whole[:8])[0]
        header, data = json.loads(whole[8 : 8 + size]), whole[8 + size :]

        def with_header(change):
            other = json.loads(json.dumps(header))
            change(other)
            text = json.dumps(other).encode()
            return struct.pack("<Q", len(text)) + text + data

        def entry(name, field, value):
            return with_header(lambda h: h[name].__setitem__(field, value))

        embedding = header["embed.W_E"]["data_offsets"]
        for content, *words in [
            (b"", "has 0 bytes"),
            (b"PK\3\4", "has 4 bytes"),
            (whole[:100], "truncated"),
            (whole[:-8], "truncated"),
            (whole + b"\0" * 8, "trailing"),
            (struct.pack("<Q", 2**63) + whole[8:], f"header length is {2**63}, wanted at most"),
            (whole.replace(b"W_Q", b"W_X"), "blocks.0"),
            (whole.replace(b"blocks.1.attn.b_V", b"blocks.1.attn.v_b"), "blocks.1.attn.v_b"),
            (whole.replace(b"blocks.1.attn.b_V", b"blocks.1.attn.b_K"), "'blocks.1.attn.b_K' appears twice"),
            (whole[:-8] + struct.pack("<d", math.nan), "nan", "finite"),
            (entry("embed.W_E", "dtype", "I64"), "embed.W_E", "dtype I64", "wanted F64"),
            (entry("embed.W_E", "shape", [2**40, 2**40]), "embed.W_E", "64 bits"),
            (entry("embed.W_E", "data_offsets", [embedding[0], embedding[1] + 8]), "embed.W_E", "have"),
            (entry("embed.W_E", "data_offsets", [embedding[1], embedding[0]]), "embed.W_E", "end before they begin"),
            (with_header(lambda h: h["__metadata__"].__setitem__("activation", "silu")), "unknown activation 'silu'"),
            (with_header(lambda h: h.__setitem__("a\n\x1b[2Jb", h.pop("embed.W_E"))), "embed.W_E"),
            (struct.pack("<Q", 16) + b'{"a": [1, 2, 3' + b"\n\n", "not valid JSON"),
        ]:  # fmt: skip
            path.write_bytes(content)
            self.refused("structural_inference", changed(EXTERNAL, ["--model", path]), "bad.safetensors", *words)
            self.refused("calibrate", changed(CALIBRATED, ["--model", path]), "bad.safetensors", *words)

    def test_calibrate(self):
        self.all_refused("calibrate", [], [
            ([], "--model FILE_OR_FOLDER is missing"),
            (["--model", MODEL], "--pretraining FILE.npy is missing"),
        ])  # fmt: skip
        self.all_refused("calibrate", CALIBRATED, [
            (["--colour", "red"], "--colour"),
            (["--draws", "many"], "--draws", "many"),
            (["--chains", "-5"], "--chains", "-5 is negative"),
            (["--chains", "99999999999999999999"], "--chains", "too large"),
            (["--chains", HUGE], f"chains is {HUGE}", "2^48 steps"),
            (["--sampler", "gibbs"], "--sampler", *SAMPLERS),
            (["--all-weights", "none"], "--all-weights", "scaled", "same"),
            *[([option, "0"], f"{option} is 0, must be at least 1")
              for option in ["--chains", "--thinning", "--batch-size", "--evaluation-tokens"]],
            (["--draws", "7"], "--draws is 7, must be at least 8"),
            (["--thinning", HUGE], f"thinning {HUGE}", "2^48 steps"),
            (["--burn-in", HUGE], f"burn_in {HUGE}", "2^48 steps"),
            (["--step-size", "0.001,0"], "--step-size is 0, must be finite and positive"),
            (["--step-size", "nan"], "--step-size is nan"),
            (["--step-size", "0.01", "0.01"], "--step-size 0.01 is given twice"),
            (["--n-beta", "-1"], "--n-beta is -1, must be finite and positive"),
            (["--n-beta", "1e400"], "--n-beta is inf"),
            (["--localization", "inf"], "--localization is inf, must be finite and not negative"),
            (["--localization", "0"], "--localization 0 needs a --step-size"),
            (["--step-size", "0.001,1"], "step_size 1 is unstable with localization 200", "below 4"),
            (["--sampler", "rmsprop_sgld", "--step-size", "0.01"], "unstable", "stability"),
            (["--component", "l7h9"], "unknown component 'l7h9'", "nearest valid names: l0h"),
            (["--component", ""], "unknown component ''"),
            (["--activation", "silu"], "unknown activation 'silu'"),
            (["--output", "a_file"], "a_file", "not a folder"),
            (["--output", "a_file/results"], "a_file/results"),
            (["--output", ""], "output"),
            (["--output", LONG], LONG, "too long"),
            (["--output", "results", "--component", "l7h9"], "l7h9"),
            (["--model", "missing"], "missing", "No such file"),
            (["--model", "a_file"], "a_file"),
            (["--model", FIXTURES], f"{FIXTURES}/config.json", "No such file"),
            (["--pretraining", "missing.npy"], "missing.npy", "No such file"),
            (["--pretraining", FIXTURES], FIXTURES, "not a regular file"),
        ])  # fmt: skip

    def test_development(self):
        self.all_refused("development", TRAINED, [
            (["--checkpoints", "1"], "--checkpoints is 1, must be at least 2"),
            (["--checkpoints", "0"], "--checkpoints is 0, must be at least 2"),
            (["--checkpoints", "-1"], "--checkpoints", "-1 is negative"),
            (["--snapshots", "4"], "--snapshots"),
            (["--model", MODEL], "--model is one set of weights"),
            (["--components", "l0h0,l7h9"], "unknown component 'l7h9'"),
            (["--components", "l0h0,l0h0"], "l0h0", "twice"),
            (["--localization", "0"], "--localization 0 needs a --step-size"),
            (["--output", "a_file"], "a_file", "not a folder"),
            (["--output", "in_the_way"], "in the way of the trained model"),
            (["--run-directory", "a_file"], "--run-directory cannot be used"),
            (["--context", "3"], "--context is 3"),
        ])  # fmt: skip
        self.refused("development", ["--corpus", "missing"], "missing")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
