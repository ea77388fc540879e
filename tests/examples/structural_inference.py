"""structural_inference.py PROGRAM [--sentencepiece] [--netcdf]: the program on tiny inputs (bad ones: bad_input.py).

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
DATASET = {"results.nc"} if "--netcdf" in sys.argv[2:] else set()
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

    def check_results(self, results, components, probes, tokens, chosen="full", length=None, texts=True):
        """Every file of a run, its shape, and that they agree with each other; `length`: of training sequences; `texts`: of tokens."""
        other = {"full": "restricted", "restricted": "full"}[chosen]
        modes = min(tokens, components)
        expected = {"tokens.npy": (tokens, 4), "token_losses.npy": (tokens,), "token_clusters.npy": (tokens,),
                    "principal_components_whitened_scores.npy": (tokens, modes)}  # fmt: skip
        if texts:
            expected["token_patterns.npy"] = (tokens, 8)
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
        self.assertEqual(present, set(expected) | {"summary.json", "report.html"} | DATASET)

        def constant(name):
            self.fail(f"summary.json holds {name}")

        summary = json.loads((results / "summary.json").read_text(), parse_constant=constant)
        for key in ["settings", "versions", "data", "components", "probes", "centring", "response_matrix",
                    "principal_components", "token_patterns", "top_tokens", "sign_balance", "clusters", "heads", "losses", "diagnostics",
                    "warnings", "timings"]:  # fmt: skip
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
            scores = read_npy(results / f"principal_components{suffix}_scores.npy")[1]
            self.check_tokens(summary, how, each, scores, components, modes)
            if texts:
                classes = read_npy(results / "token_patterns.npy")[1]
                self.check_patterns(summary["token_patterns"][how], classes, scores, tokens, modes)
        page = (results / "report.html").read_text()
        self.check_clusters(summary, results, page, texts)
        self.assertIsNone(re.search(r"https?://(?!www\.w3\.org/)", page))  # but the names of XML name spaces
        self.assertTrue(page.rstrip().endswith("</html>"))
        return summary

    def check_tokens(self, summary, how, each, scores, components, modes):
        """The extreme tokens of each mode and the balance of signs of each component."""
        top = summary["top_tokens"][how]
        self.assertEqual(len(top), min(8, modes))
        for k, mode in enumerate(top):
            column = scores[k::modes]
            positive = sorted((j for j, x in enumerate(column) if x > 0), key=lambda j: (-column[j], j))
            negative = sorted((j for j, x in enumerate(column) if x < 0), key=lambda j: (column[j], j))
            self.assertEqual([e["row"] for e in mode["highest"]], positive[:12])
            self.assertEqual([e["row"] for e in mode["lowest"]], negative[:12])
        balance = summary["sign_balance"][how]
        self.assertEqual([b["component"] for b in balance], summary["components"])
        for c, row in enumerate(balance):
            expressed = [x for x in each[c::components] if x < 0]
            self.assertAlmostEqual(row["expressed_share"], len(expressed) / (len(each) // components), delta=1e-5)
            self.assertAlmostEqual(row["expressed_mean"] / (sum(expressed) / len(expressed)), 1, delta=1e-4)
            self.assertGreater(row["expressed_share_error"], 0)

    def check_clusters(self, summary, results, page, texts):
        """Clusters against the graph of nearest neighbours made anew, and the map of the report against the arrays."""
        found = summary["clusters"]
        (tokens, dimensions), points = read_npy(results / "principal_components_whitened_scores.npy")
        rows = [points[dimensions * j : dimensions * (j + 1)] for j in range(tokens)]
        for a in range(dimensions):
            for b in range(dimensions):
                self.assertAlmostEqual(sum(row[a] * row[b] for row in rows) / tokens, a == b, delta=1e-9)
        scores = read_npy(results / "principal_components_scores.npy")[1]
        deviation = math.sqrt(sum(x * x for x in scores[::dimensions]) / tokens)
        self.assertLess(max(abs(s - deviation * row[0]) for s, row in zip(scores[::dimensions], rows)), 1e-9 * deviation)
        cluster = list(read_npy(results / "token_clusters.npy")[1])
        table = read_npy(results / "tokens.npy")[1]
        classes = read_npy(results / "token_patterns.npy")[1] if texts else []
        self.assertEqual(found["tokens"], tokens)
        self.assertEqual(found["tokens_of_probes"], [table[::4].count(p) for p in range(len(summary["probes"]))])
        self.assertEqual(found["tokens_of_classes"], [sum(classes[q::8]) for q in range(8)] if texts else [])
        self.assertEqual(len(found["classes"]), len(found["tokens_of_classes"]))
        self.assertEqual(sorted(set(cluster) - {-1}), list(range(len(found["found"]))))
        if tokens < 100:
            self.assertEqual(found["missing"], f"there are {tokens} tokens; clusters need 100")
            self.assertEqual(found["found"], [])
        else:
            neighbours = [set() for _ in rows]
            for i, row in enumerate(rows):
                near = sorted(range(tokens), key=lambda j: (math.dist(row, rows[j]), j))
                for j in [j for j in near[:16] if j != i][:15]:
                    neighbours[i].add(j)
                    neighbours[j].add(i)
            ends = sum(map(len, neighbours))
            self.assertTrue(0 <= found["shuffled_conductance"] <= 1)
            self.assertAlmostEqual(found["highest_conductance"] / found["structureless_conductance"], 0.75, delta=1e-4)
            for number, each in enumerate(found["found"]):
                members = {j for j in range(tokens) if cluster[j] == number}
                self.assertEqual(each["size"], len(members))
                self.assertTrue(10 <= len(members) <= tokens // 10)
                volume = sum(len(neighbours[j]) for j in members)
                cut = sum(len(neighbours[j] - members) for j in members)
                self.assertAlmostEqual(each["conductance"], cut / min(volume, ends - volume), delta=1e-4)
                self.assertLessEqual(each["conductance"], found["highest_conductance"] + 1e-5)
                self.assertEqual(each["probes"], [sum(table[4 * j] == p for j in members) for p in range(len(summary["probes"]))])
                self.assertEqual(each["classes"], [sum(classes[8 * j + q] for j in members) for q in range(8)] if texts else [])
                self.assertEqual(len(each["examples"]), min(12, len(members)))
                self.assertTrue(all(example["row"] in members for example in each["examples"]))
                counts = [entry["count"] for entry in each["tokens"]]
                self.assertEqual(counts, sorted(counts, reverse=True))
                self.assertEqual(counts[0], max(sum(table[4 * j + 3] == t for j in members) for t in table[3::4]))
        data = json.loads(re.search(r'id="data">(.*?)</script', page, re.DOTALL)[1])
        self.assertEqual(data["clusters"], found)
        if dimensions < 2:
            self.assertNotIn("token_map", data)
            return
        shown = data["token_map"]
        self.assertEqual((shown["rows"], shown["row"], shown["cluster"]), (tokens, list(range(tokens)), cluster))
        for k, axis in enumerate(shown["axes"]):
            self.assertEqual(axis["name"], f"PC{k + 1}")
            self.assertLess(max(abs(x - row[k]) for x, row in zip(axis["values"], rows, strict=True)), 1e-3)
        for j in range(tokens):
            self.assertEqual(shown["sequences"][shown["sequence"][j]]["probe"], table[4 * j])
            self.assertEqual(shown["position"][j], table[4 * j + 2])
        for each in found["found"]:
            for example in each["examples"]:
                at = shown["position"][example["row"]]
                sequence = [shown["pieces"][k] for k in shown["sequences"][shown["sequence"][example["row"]]]["tokens"]]
                self.assertEqual("".join(sequence[max(0, at - 16) : at]), example["before"])
                self.assertEqual((sequence[at], "".join(sequence[at + 1 : at + 9])), (example["token"], example["after"]))

    def check_patterns(self, found, classes, scores, tokens, modes):
        self.assertEqual(found["classes"], ["word start", "word part", "word end", "induction", "delimiter", "spacing",
                                            "numeric", "formatting"])  # fmt: skip
        for p in range(8):
            rows = [j for j in range(tokens) if classes[8 * j + p]]
            self.assertEqual(found["tokens"][p], len(rows))
            for k in range(min(8, modes)):
                if rows:
                    mean = sum(scores[j * modes + k] for j in rows) / len(rows)
                    self.assertAlmostEqual(found["mean"][p][k], mean, delta=1e-4 * abs(mean) + 1e-9)
                else:
                    self.assertIsNone(found["mean"][p][k])


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

    def test_clusters(self):
        """Where there are any: the brackets of the generated language, each by itself."""
        settings = ["--heads", "8", "--width", "32", "--training-steps", "100", "--probe-tokens", "256",
                    "--localization", "300"]  # fmt: skip
        tiny = dict(zip(TINY[::2], TINY[1::2])) | dict(zip(settings[::2], settings[1::2]))
        del tiny["--components"]
        self.succeeds(*(word for pair in tiny.items() for word in pair), "--output", "results", "--threads", "2")
        summary = self.check_results(self.folder / "results", components=16, probes=4, tokens=4 * 256, length=33)
        found = summary["clusters"]["found"]
        self.assertGreater(len(found), 5)
        brackets = summary["probes"].index("brackets")
        # Of 1024 tokens no more than 25 are one bracket: such a cluster is not found by chance.
        alone = [each for each in found if each["tokens"][0]["count"] > 0.8 * each["size"] and each["size"] > 10
                 and each["probes"][brackets] > 0.8 * each["size"]]  # fmt: skip
        self.assertGreaterEqual(len(alone), 4)

    def test_no_clusters_after_divergence(self):
        """One component's chains diverge, the other's do not: the run says why there are no clusters, and ends well."""
        tiny = dict(zip(TINY[::2], TINY[1::2])) | {"--components": "l0h0,unembed", "--n-beta": "1e16", "--localization": "300"}
        self.succeeds(*(word for pair in tiny.items() for word in pair), "--output", "results", "--centring", "restricted")
        summary = json.loads((self.folder / "results/summary.json").read_text())
        self.assertEqual([d["dropped_chains"] for d in summary["diagnostics"][:2]], [2, 0])
        self.assertIn("diverged", summary["clusters"]["missing"])
        self.assertEqual(set(read_npy(self.folder / "results/token_clusters.npy")[1]), {-1})
        self.assertEqual([p.name for p in (self.folder / "results").glob("principal_components*")], [])
        page = (self.folder / "results/report.html").read_text()
        self.assertNotIn("token_map", json.loads(re.search(r'id="data">(.*?)</script', page, re.DOTALL)[1]))

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
        self.prepared_again([*tiny, "--corpus", "corpus", *size])

    def prepared_again(self, settings):
        """What --prepare writes; the model of test_text as one trained elsewhere, with the texts of its tokens."""
        seeds = ["--training-seed", "2", "--data-seed", "1"]
        self.succeeds(*settings, "--output", "other", *seeds, "--prepare")
        prepared = self.folder / "other/prepared"
        described = json.loads((prepared / "training.json").read_text())
        self.assertEqual(listing(self.folder / "other")[0], "prepared")
        self.assertEqual([part["name"] for part in described["parts"]], ["first", "second", "repeats"])
        self.assertEqual((described["options"]["seed"], described["options"]["steps"]), (2, 20))
        summary = json.loads((self.folder / "results/summary.json").read_text())
        for probe in described["probes"]:
            (rows, length), _ = read_npy(prepared / probe["file"])
            self.assertEqual(rows * (length - 1), summary["data"]["probe_tokens"][probe["name"]])
        if not WITH_SENTENCEPIECE:
            return
        # The data's seed is that of the first run, so the tokenizer is too; the training's is not.
        tokenizer = prepared / "tokenizer.model"
        self.assertEqual(tokenizer.read_bytes(), (self.folder / "results/tokenizer.model").read_bytes())
        probes = [word for p in described["probes"] for word in ("--probe", f"{p['name']}={prepared / p['file']}")]
        self.succeeds("--model", "results/model.safetensors", "--pretraining", "results/pretraining.npy", *probes,
                      "--tokenizer", tokenizer, "--output", "external", "--components", "l0h0", *SAMPLING)  # fmt: skip
        for name in ("tokens.npy", "token_patterns.npy", "token_losses.npy"):
            self.assertEqual(read_npy(self.folder / "external" / name), read_npy(self.folder / "results" / name), name)
        self.assertEqual((self.folder / "external/tokenizer.model").read_bytes(), tokenizer.read_bytes())
        done = run(self.folder, "--model", FIXTURES / "gelu_untied.safetensors", "--pretraining", FIXTURES / "gelu_untied_tokens.npy",
                   "--probe", f"a={FIXTURES / 'gelu_untied_tokens.npy'}", "--tokenizer", tokenizer)  # fmt: skip
        self.assertEqual(done.returncode, 2)
        self.assertIn("has 300 tokens, the model has 11", done.stderr)


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
                self.check_results(results, components=2 * layers, probes=1, tokens=15, texts=False)
                self.assertFalse((results / "model.safetensors").exists())

    def test_pretrained(self):
        """A folder of Hugging Face's: heads, their scores, and texts by its tokenizer.json."""
        tokenizer = self.folder / "tokenizer.json"
        texts = ["\u0120the", "\u010a", "a", "b", "7", "\u0120(", "\u0120cat", "s", "."]
        tokenizer.write_text(json.dumps({"model": {"type": "BPE", "vocab": {text: i for i, text in enumerate(texts)}},
                                         "decoder": {"type": "ByteLevel"},
                                         "added_tokens": [{"id": 9, "content": "<|end|>", "special": True}]}))  # fmt: skip
        for family, heads in [("gpt2", 4), ("gpt_neox", 4), ("llama", 8)]:
            with self.subTest(family):
                folder, results = FIXTURES / family, self.folder / family
                tokens = folder / "tokens.npy"
                output = self.succeeds("--model", folder, "--pretraining", tokens, "--probe", f"a={tokens}", "--tokenizer",
                                       tokenizer, "--output", results, "--evaluation-tokens", "15", *SAMPLING)  # fmt: skip
                self.assertIn(f"2 layers of {heads // 2} heads, context 7, vocabulary 11", output)
                # Neither operations nor working memory are counted of these.
                self.assertRegex(output, r"Sampling: \d+ chains, at least \d+ MB, about [\d.]+ s on")
                summary = self.check_results(results, components=heads, probes=1, tokens=15)
                _, expected = read_safetensors(folder / "gradients.safetensors")
                _, losses = read_npy(results / "token_losses.npy")
                self.assertLess(max(abs(a - b) for a, b in zip(losses, expected["losses"], strict=True)), 1e-4)
                self.assertEqual([h["name"] for h in summary["heads"]], summary["components"])
                self.assertTrue(all(0 < h["previous_token"] < 1 and 0 < h["prefix_matching"] < 1 for h in summary["heads"]))
                self.assertEqual(summary["settings"]["model"], {"file": str(folder)})
                (_, columns), rows = read_npy(results / "tokens.npy")
                known = [" the", "\n", "a", "b", "7", " (", " cat", "s", ".", "<|end|>", ""]
                for mode in summary["top_tokens"]["full"]:
                    for token in mode["highest"]:
                        self.assertEqual(token["token"], known[rows[columns * token["row"] + 3]])
                self.assertFalse((results / "tokenizer.model").exists())
                if family == "gpt2":  # whose sequences are known below; the first token of all is a common "a"
                    classes = summary["token_patterns"]["full"]["classes"]
                    (_, columns), patterns = read_npy(results / "token_patterns.npy")
                    for row, text, expected in [(8, "a", {"word start"}), (9, "<|end|>", set()),
                                                (13, "a", {"word part", "word end"})]:  # fmt: skip
                        self.assertEqual(known[rows[4 * row + 3]], text)
                        self.assertEqual({c for c, has in zip(classes, patterns[columns * row:][:columns]) if has}, expected)
        parts = ["--model", FIXTURES / "llama", "--pretraining", tokens, "--probe", f"a={tokens}", "--components",
                 "l0kv1,l0h2+l1h3,l1mlp", "--output", "parts", *SAMPLING]  # fmt: skip
        preview = self.succeeds(*parts, "--preview")
        self.assertEqual(re.findall(r"^(\S+): \d+ of 2016 weights", preview, re.M), ["l0kv1", "l0h2+l1h3", "l1mlp"])
        self.assertIn("model.layers.1.mlp.down_proj.weight (8, 10) [:, :] 80", preview)
        self.assertFalse((self.folder / "parts").exists())
        self.succeeds(*parts)
        self.check_results(self.folder / "parts", components=3, probes=1, tokens=15, texts=False)

    def test_two_probes_of_other_lengths(self):
        short = write_npy(self.folder / "short.npy", [[1, 2, 3], [4, 5, 6]], "<i8")
        model, tokens = FIXTURES / "gelu_untied.safetensors", FIXTURES / "gelu_untied_tokens.npy"
        self.succeeds("--model", model, "--pretraining", tokens, "--probe", f"long={tokens}", "--probe", f"short={short}",
                      "--components", "l0h1,l0mlp,l0h0+l1h1,embed", *SAMPLING)  # fmt: skip
        summary = self.check_results(self.folder / "results", components=4, probes=2, tokens=15 + 4, texts=False)
        self.assertEqual(summary["components"], ["l0h1", "l0mlp", "l0h0+l1h1", "embed"])

    def test_localization(self):
        """Chosen for each component and for all weights, or given."""
        output = self.succeeds(*TINY)
        self.assertIn("Localization that puts E[phi] at 0.1", output)
        summary = json.loads((self.folder / "results/summary.json").read_text())
        self.assertEqual(summary["settings"]["pilot_target"], .1)
        self.assertNotIn("localization", summary["settings"])
        pilot = summary["pilot"]
        self.assertEqual([c["component"] for c in pilot], ["full", "l0h0", "l1h1"])
        self.assertTrue(math.isclose(pilot[0]["localization"], summary["all_weights"]["localization"], rel_tol=1e-4))
        for chosen, row in zip(pilot[1:], summary["diagnostics"]):
            self.assertEqual((chosen["localization"], chosen["step_size"]), (row["localization"], row["step_size"]))
        for chosen in pilot:
            self.assertTrue(math.isclose(chosen["localization"] * chosen["step_size"], 1, rel_tol=1e-4), chosen)
            near = chosen["mean_observable"] > 0 and abs(math.log(chosen["mean_observable"] / .1)) <= math.log(1.25) + 1e-4
            self.assertEqual(chosen["reached"], near, chosen)
            named = [w for w in summary["warnings"] if w.startswith(chosen["component"] + ": no localization puts")]
            self.assertEqual(len(named), not near, chosen)
        self.assertTrue(pilot[0]["reached"])  # with all weights the loss is never flat

        self.succeeds(*TINY, "--localization", "250")
        summary = json.loads((self.folder / "results/summary.json").read_text())
        self.assertEqual((summary["settings"]["localization"], summary["settings"]["step_size"]), (250, 1 / 250))
        self.assertNotIn("pilot", summary)
        self.assertEqual([d["localization"] for d in summary["diagnostics"]], [250, 250])

    def test_help(self):
        done = run(self.folder, "--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("--localization", done.stdout)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
