"""Trains by PyTorch, on a GPU where there is one, the model that structural_inference would train itself.

    structural_inference --prepare --output results ...     # writes results/prepared
    python3 scripts/train.py results/prepared                # trains, writes results/model.safetensors
    structural_inference --output results ...               # takes that model, and samples

Initial weights, data and options of AdamW are those that were prepared, and every step sees the sequences that it would see
there (the random streams of susc/core/random.hpp), so in float32 the two trainings differ by rounding alone. Weights are
saved under TransformerLens's names; where steps of snapshots were asked for, in results/snapshots/STEP.safetensors too.
Interrupted or killed, the same command goes on from the last checkpoint, FOLDER/checkpoint.pt. On a GPU products are computed
in bfloat16 unless --precision float32, and on a CPU if that was prepared; weights and AdamW's moments are float32 always.
Needs `pip install "torch>=2" safetensors numpy`. Exit status: 0; 1 if the loss is no longer finite; 2 on bad input; 75 if interrupted.
"""

import sys

if sys.path and not sys.flags.safe_path:
    del sys.path[0]  # this folder: NumPy would take tokenize.py in it for the standard library's

import argparse
import fcntl
import json
import math
import os
import pathlib
import signal
import time

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # sums of one order: before CUDA begins

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file

if not hasattr(F, "scaled_dot_product_attention"):
    print(f"train.py: PyTorch is {torch.__version__}, must be 2.0 or later", file=sys.stderr)
    sys.exit(2)

MASK32, MASK64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF
ACTIVATIONS = {"gelu": F.gelu, "gelu_new": lambda x: F.gelu(x, approximate="tanh"), "relu": F.relu}


def philox(counter, key):
    """One block of Philox4x32-10 (Salmon et al. 2011): four 32-bit words for a counter of four, and a key of 64 bits."""
    a, b, c, d = counter
    k0, k1 = key & MASK32, key >> 32
    for _ in range(10):
        p, q = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (q >> 32) ^ b ^ k0, q & MASK32, (p >> 32) ^ d ^ k1, p & MASK32
        k0, k1 = (k0 + 0x9E3779B9) & MASK32, (k1 + 0xBB67AE85) & MASK32
    return a, b, c, d


def fold_in(key, what):
    """The key of the sub-stream of `key` that a number or a text names."""
    if isinstance(what, str):
        number = 0xCBF29CE484222325
        for byte in what.encode():
            number = (number ^ byte) * 0x100000001B3 & MASK64
        what = number
    a, b, _, _ = philox((what & MASK32, what >> 32, 0, 0xF01D1F01), key)
    return a | b << 32


class Stream:
    """Numbers in order, of one key: susc::random::stream."""

    def __init__(self, key):
        self.key, self.next, self.words = key, 0, []

    def bits64(self):
        words = []
        for _ in range(2):
            if not self.words:
                self.words = list(philox((self.next & MASK32, self.next >> 32, 0, 1), self.key))
                self.next += 1
            words.append(self.words.pop(0))
        return words[0] << 32 | words[1]

    def uniform(self):
        return (self.bits64() >> 11) * 2.0**-53

    def below(self, count):
        limit = MASK64 // count * count
        while True:
            if (value := self.bits64()) < limit:
                return value % count


class Mixture:
    """The training data: a sequence is drawn from a part by its weight, then uniformly within the part."""

    def __init__(self, folder, prepared, device):
        self.weights = [part["weight"] for part in prepared["parts"]]
        parts = [np.load(folder / part["file"]) for part in prepared["parts"]]
        self.counts = [len(rows) for rows in parts]
        self.begins = np.concatenate([[0], np.cumsum(self.counts)])
        self.rows = torch.from_numpy(np.concatenate(parts)).to(device)  # (sequences, context + 1), int32
        self.key = fold_in(prepared["options"]["seed"], "training")
        self.size, self.parts = prepared["options"]["batch_size"], prepared["minibatch_parts"]

    def chosen(self, step):
        """Which rows are the minibatch of a step."""
        total, rows = 0.0, []
        for weight in self.weights:  # in this order: newer versions of Python's own sum round otherwise
            total += weight
        for part in range(self.parts):
            stream = Stream(fold_in(fold_in(self.key, step), part))
            for _ in range(self.size // self.parts):
                left, at = stream.uniform() * total, 0
                while at + 1 != len(self.weights) and left >= self.weights[at]:
                    left -= self.weights[at]
                    at += 1
                rows.append(int(self.begins[at]) + stream.below(self.counts[at]))
        return rows

    def minibatch(self, step):
        return self.rows[torch.tensor(self.chosen(step), device=self.rows.device)].long()


def mean_loss(p, tokens, activation):
    """Mean of -log p(next token) in nats, of tokens (B, S + 1); p maps TransformerLens's names to tensors."""
    inputs, width = tokens[:, :-1], p["embed.W_E"].shape[1]

    def norm(name, x):
        return F.layer_norm(x, (width,), p[name + ".w"], p[name + ".b"], 1e-5)

    x = F.embedding(inputs, p["embed.W_E"]) + p["pos_embed.W_pos"][: inputs.shape[1]]
    layer = 0
    while (block := f"blocks.{layer}.") + "attn.W_Q" in p:
        normed = norm(block + "ln1", x)
        q, k, v = (torch.einsum("bsd,hde->bhse", normed, p[f"{block}attn.W_{n}"]) + p[f"{block}attn.b_{n}"][:, None]
                   for n in "QKV")  # fmt: skip
        z = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + torch.einsum("bhse,hed->bsd", z, p[block + "attn.W_O"]) + p[block + "attn.b_O"]
        if block + "mlp.W_in" in p:
            hidden = norm(block + "ln2", x) @ p[block + "mlp.W_in"] + p[block + "mlp.b_in"]
            x = x + ACTIVATIONS[activation](hidden) @ p[block + "mlp.W_out"] + p[block + "mlp.b_out"]
        layer += 1
    unembed = p["unembed.W_U"] if "unembed.W_U" in p else p["embed.W_E"].T
    logits = norm("ln_final", x) @ unembed + p["unembed.b_U"]
    return F.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten())


def learning_rate(o, step):
    rise = 1 if o["warm_up"] == 0 else min(1.0, (step + 1) / o["warm_up"])
    tail = o["decay_fraction"] * o["steps"]
    return o["learning_rate"] * rise * (min(1.0, (o["steps"] - step) / tail) if tail > 0 else 1.0)


def is_decayed(name):
    """The matrices that activations are multiplied by, but for embedding and positions."""
    return name.split(".")[-1] in ("W_Q", "W_K", "W_V", "W_O", "W_in", "W_out", "W_U")


def replace_by(path, write):
    """Whole or not at all: written beside, then renamed over. What a killed process left beside is written over."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        write(partial)
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog="\n".join(__doc__.splitlines()[1:]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("folder", type=pathlib.Path, help="what structural_inference --prepare wrote: OUTPUT/prepared")
    parser.add_argument("--output", type=pathlib.Path, help="of the model (default: model.safetensors beside the folder)")
    parser.add_argument("--device", help="of PyTorch (default: cuda where there is one, else cpu)")
    parser.add_argument("--precision", choices=("float32", "bfloat16"),
                        help="of products (default: bfloat16 on a GPU, or if that was prepared)")
    parser.add_argument("--checkpoint-seconds", type=float, default=60, help="between two checkpoints (default 60)")
    arguments = parser.parse_args()

    device = arguments.device or ("cuda" if torch.cuda.is_available() else "cpu")
    folder, output = arguments.folder, arguments.output or arguments.folder.parent / "model.safetensors"
    checkpoint = folder / "checkpoint.pt"
    try:
        in_use = open(folder / "training.json")  # its lock ends with the process
        try:
            fcntl.flock(in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            parser.error(f"{folder}: another process is training from it")
        prepared = json.load(in_use)
        with safe_open(folder / "initial.safetensors", framework="pt") as file:
            initial, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()
        parameters = {name: value.to(device).requires_grad_() for name, value in initial.items()}
        mixture = Mixture(folder, prepared, device)
    except Exception as problem:  # whatever the readers object to, the user wants the sentence and not the traceback
        parser.error(f"{folder}: {problem}")
    o, activation = prepared["options"], metadata.get("activation")
    asked = json.loads(metadata["training"]).get("precision")  # --training-precision, where it is not single
    precision = arguments.precision or asked or ("float32" if device == "cpu" else "bfloat16")
    torch.use_deterministic_algorithms(True, warn_only=True)

    decayed = [v for name, v in parameters.items() if is_decayed(name)]
    others = [v for name, v in parameters.items() if not is_decayed(name)]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": o["weight_decay"]}, {"params": others, "weight_decay": 0.0}],
        lr=o["learning_rate"], betas=(o["beta1"], o["beta2"]), eps=o["epsilon"],
    )  # fmt: skip
    kind = f"{device.split(':')[0]} {precision}"
    described = {**metadata, "trainer": f"PyTorch {torch.__version__}, {kind}"}
    done = 0
    if checkpoint.exists():
        try:
            kept = torch.load(checkpoint, map_location=device, weights_only=True)
            if (kept["settings"], kept["options"], kept["kind"]) != (metadata["training"], o, kind):
                parser.error(f"{checkpoint}: of a training with other settings; remove it to begin anew")
            with torch.no_grad():
                for name, value in parameters.items():
                    value.copy_(kept["parameters"][name])
            optimizer.load_state_dict(kept["optimizer"])
            done = kept["steps"]
        except Exception as problem:
            parser.error(f"{checkpoint}: {problem}; remove it to begin anew")
        print(f"Going on after step {done}", flush=True)

    def save(path, more):
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {name: value.detach().cpu().contiguous() for name, value in parameters.items()}
        replace_by(path, lambda to: save_file(tensors, to, metadata={**described, **more}))

    def snapshot():
        if done in prepared["snapshot_steps"]:
            settings = json.loads(metadata["training"]) | {"snapshot_after": done}
            save(output.parent / "snapshots" / f"{done}.safetensors", {"training": json.dumps(settings, sort_keys=True)})

    def keep():
        state = {"steps": done, "settings": metadata["training"], "options": o, "kind": kind,
                 "parameters": {k: v.detach() for k, v in parameters.items()}, "optimizer": optimizer.state_dict()}  # fmt: skip
        replace_by(checkpoint, lambda to: torch.save(state, to))

    stop = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, frame: stop.append(received))
    tokens = o["batch_size"] * (mixture.rows.shape[1] - 1)
    print(f"Training: {sum(v.numel() for v in parameters.values())} parameters, {o['steps']} steps of {tokens} tokens, "
          f"{device}, {precision}", flush=True)  # fmt: skip
    begin = said = saved = time.monotonic()
    first, said_at = done, done
    if done == 0:
        snapshot()
    while done < o["steps"]:
        with torch.autocast(device.split(":")[0], dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            loss = mean_loss(parameters, mixture.minibatch(done), activation)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if not math.isfinite(value := loss.item()):
            checkpoint.unlink(missing_ok=True)
            sys.exit(f"the loss is {value} at step {done}; a smaller learning rate would help")
        torch.nn.utils.clip_grad_norm_(parameters.values(), o["clip"])
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(o, done)
        optimizer.step()
        done += 1
        snapshot()
        now = time.monotonic()
        if done == o["steps"] or now - said >= 10:
            print(f"  step {done}: loss {value:.4f}, {(done - said_at) * tokens / (now - said):.0f} tokens/s", flush=True)
            said, said_at = now, done
        if stop or now - saved >= arguments.checkpoint_seconds:
            keep()
            saved = now
        if stop and done < o["steps"]:
            print(f"interrupted after step {done}; the same command goes on", file=sys.stderr)
            sys.exit(75)
    seconds = time.monotonic() - begin
    more = {"training_seconds": f"{seconds:.1f}", "training_steps": str(o["steps"] - first)}  # of this process
    save(output, more)
    checkpoint.unlink(missing_ok=True)
    print(f"{output}: {o['steps'] - first} steps in {seconds:.1f} s, {(o['steps'] - first) * tokens / seconds:.0f} tokens/s")


if __name__ == "__main__":
    main()
