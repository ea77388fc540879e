"""The peer's side of the comparison: the same model and work in devinterp 2 on PyTorch; compare.py drives it.

    peer.py phases SETTINGS.json     each line ["PHASE", THREADS, COUNT] of standard input is timed: seconds a call, of
                                     the clock and of processors
    peer.py whole SETTINGS.json      all chains and susceptibilities, written to SETTINGS["output"]
"""

import json
import pathlib
import random
import sys
import tempfile
import time
import warnings

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from devinterp.optim import SGMCMC
from devinterp.slt.sampling import sample
from devinterp.slt.susceptibilities import compute_susceptibilities
from safetensors.torch import load_file

OBSERVABLE_SEED = 1337  # devinterp's default


class Transformer(torch.nn.Module):
    """The attention-only model of tests/fixtures/transformer.py with all heads' projections in one product each."""

    def __init__(self, file):
        super().__init__()
        p = {name: value.float() for name, value in load_file(file).items()}
        if any(".mlp." in name for name in p) or "unembed.W_U" not in p or "unembed.b_U" not in p:
            sys.exit(f"{file}: the comparison is of attention-only models with biases and their own unembedding")
        self.heads, width, self.head_width = p["blocks.0.attn.W_Q"].shape
        self.layers = sum(name.endswith("attn.W_Q") for name in p)
        own = {"embed": p["embed.W_E"], "positions": p["pos_embed.W_pos"]}
        for layer in range(self.layers):
            block, short = f"blocks.{layer}.", f"l{layer}_"
            own[short + "norm_w"], own[short + "norm_b"] = p[block + "ln1.w"], p[block + "ln1.b"]
            rows = [p[f"{block}attn.W_{n}"].transpose(1, 2).reshape(-1, width) for n in "QKV"]
            own[short + "qkv_w"] = torch.cat(rows)
            own[short + "qkv_b"] = torch.cat([p[f"{block}attn.b_{n}"].flatten() for n in "QKV"])
            own[short + "out_w"] = p[block + "attn.W_O"].reshape(-1, width).T.contiguous()
            own[short + "out_b"] = p[block + "attn.b_O"]
        own |= {"final_w": p["ln_final.w"], "final_b": p["ln_final.b"]}
        own |= {"unembed_w": p["unembed.W_U"].T.contiguous(), "unembed_b": p["unembed.b_U"]}
        for name, value in own.items():
            self.register_parameter(name, torch.nn.Parameter(value))

    def forward(self, ids):
        rows, length = ids.shape
        width = self.embed.shape[1]
        x = F.embedding(ids, self.embed) + self.positions[:length]
        for layer in range(self.layers):
            norm_w, norm_b, qkv_w, qkv_b, out_w, out_b = (
                getattr(self, f"l{layer}_{n}") for n in ("norm_w", "norm_b", "qkv_w", "qkv_b", "out_w", "out_b")
            )
            qkv = F.linear(F.layer_norm(x, (width,), norm_w, norm_b), qkv_w, qkv_b)
            q, k, v = qkv.view(rows, length, 3, self.heads, self.head_width).permute(2, 0, 3, 1, 4)
            z = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + F.linear(z.transpose(1, 2).reshape(rows, length, -1), out_w, out_b)
        return F.linear(F.layer_norm(x, (width,), self.final_w, self.final_b), self.unembed_w, self.unembed_b)

    def masks(self, component):
        """devinterp's param_masks of a head, "l0h3", or of all weights, "full"."""
        if component == "full":
            return {name: None for name, _ in self.named_parameters()}
        layer, head = map(int, component[1:].split("h"))
        of = slice(head * self.head_width, (head + 1) * self.head_width)
        parameters, result = dict(self.named_parameters()), {}
        for name in ("qkv_w", "qkv_b", "out_w"):
            mask = torch.zeros_like(parameters[f"l{layer}_{name}"])
            if name == "out_w":
                mask[:, of] = 1
            else:
                mask.view(3, self.heads * self.head_width, -1)[:, of] = 1
            result[f"l{layer}_{name}"] = mask
        return result


def token_losses(model, ids):
    """-log p(next token), (rows, length - 1): devinterp's loss_fn."""
    losses = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    return losses.view(ids.shape[0], -1)


class Sequences(torch.utils.data.Dataset):
    """Rows of token ids; cheaper for devinterp's loader than a Hugging Face Dataset, which it takes too."""

    def __init__(self, file):
        self.ids = torch.from_numpy(np.load(file).astype(np.int64))

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, i):
        return {"input_ids": self.ids[i]}


def settings_of(settings, component):
    """Localization and step size; devinterp's susceptibilities() would have one for all."""
    prefix = "all_" if component == "full" else ""
    return settings[prefix + "localization"], settings[prefix + "step_size"]


def clocks():
    return np.array([time.perf_counter(), time.process_time()])


class Phases:
    """A step is the body of devinterp's sample_single_chain between draws, an evaluation that of an observable."""

    def __init__(self, settings, loss=token_losses):
        self.settings, self.loss = settings, loss
        self.ids = Sequences(settings["batch"]).ids
        with torch.no_grad():
            self.expected = token_losses(Transformer(settings["model"]), self.ids)
        if not torch.isfinite(self.expected).all():
            sys.exit("losses of the batch are not finite")

    def seconds(self, phase, threads, count):
        torch.set_num_threads(threads)
        kind, component = phase.split()
        model = Transformer(self.settings["model"])
        if kind == "evaluation":
            with torch.no_grad():
                start = clocks()
                for _ in range(count):
                    losses = self.loss(model, self.ids)
                elapsed = clocks() - start
            assert torch.allclose(losses, self.expected, atol=1e-4)
            return (elapsed / count).tolist()
        masks, parameters = model.masks(component), dict(model.named_parameters())
        for name, parameter in parameters.items():
            parameter.requires_grad_(name in masks)
        localization, step_size = settings_of(self.settings, component)
        optimizer = SGMCMC.sgld(
            [{"params": parameters[name], "mask": mask} for name, mask in masks.items()],
            lr=step_size, nbeta=self.settings["n_beta"], localization=localization,
        )  # fmt: skip
        model.train()
        start = clocks()
        for i in range(count):
            losses = self.loss(model, self.ids)
            losses.mean().backward()
            if torch.isnan(losses).any() or torch.isinf(losses).any():
                sys.exit("a step's loss is not finite")
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            if i == 0:
                assert torch.allclose(losses, self.expected, atol=1e-4)
        return ((clocks() - start) / count).tolist()


def serve(settings):
    losses = token_losses
    if settings.get("compile"):
        losses = torch.compile(token_losses)
    phases = Phases(settings, losses)
    np.save(settings["losses"], phases.expected.flatten().numpy())
    print("ready", flush=True)
    for line in sys.stdin:
        print(phases.seconds(*json.loads(line)), flush=True)


def whole(settings):
    torch.set_num_threads(settings["threads"])
    start = time.perf_counter()
    model = Transformer(settings["model"])
    files = {"evaluation": settings["evaluation"]} | settings["probes"]
    observables = {name: Sequences(file) for name, file in files.items()}
    batch = settings["batch_size"]
    for name, data in observables.items():
        if len(data) % batch:
            sys.exit(f"{files[name]}: devinterp evaluates whole batches of {batch} rows, {len(data)} are not")
    trees, components = {}, ["full", *settings["components"]]
    with tempfile.TemporaryDirectory() as folder:
        for i, component in enumerate(components):
            localization, step_size = settings_of(settings, component)
            trees[component] = sample(
                model, Sequences(settings["pretraining"]),
                {name: (data, len(data) // batch) for name, data in observables.items()},
                lr=step_size, n_beta=settings["n_beta"], localization=localization, param_masks=model.masks(component),
                num_chains=settings["chains"], num_draws=settings["draws"], batch_size=batch,
                num_burnin_steps=settings["burn_in"], num_steps_bw_draws=settings["thinning"],
                num_init_loss_batches=1, init_seed=1000 * settings["seed"] + 10 * i, obs_seed=OBSERVABLE_SEED,
                match_sampling_input_ids_across_chains=settings["common_minibatches"],
                output_path=pathlib.Path(folder) / f"{component}.zarr", loss_fn=token_losses, device="cpu",
            )  # fmt: skip
            print(f"peer: {component} after {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
        # devinterp's initial loss is that of random minibatches; ours is that of the evaluation set.
        with torch.no_grad():
            at_center = torch.cat([token_losses(model, ids) for ids in observables["evaluation"].ids.split(batch)])
        free = trees["full"].dataset
        initial = float(free["init_loss"].values.mean())
        corrected = free.assign(init_loss=xr.full_like(free["init_loss"].load(), float(at_center.mean())))
        chi = compute_susceptibilities(trees | {"full": xr.DataTree(corrected)}, "evaluation").susceptibilities
        seconds = time.perf_counter() - start
        write(settings, trees, chi, at_center.double().mean().item(), observables)
    print(json.dumps({"seconds": seconds, "initial_loss": initial, "center_loss": at_center.mean().item()}))


def write(settings, trees, chi, center_loss, observables):
    """phi (components, chains, draws), losses (components, chains, draws, tokens), chi (tokens, components): the first
    component is full, which chi has not; tokens are those of the probes in the order of our files."""

    def in_order(name, values):  # devinterp shuffles an observable's rows
        rows = random.Random(OBSERVABLE_SEED).sample(range(len(observables[name])), len(observables[name]))
        result = np.empty_like(values)
        result[..., rows, :] = values
        return result.reshape(*values.shape[:-2], -1)

    names = list(settings["probes"])
    phi, losses = [], []
    for tree in trees.values():
        phi.append(tree["loss_evaluation"].values.mean(axis=(-2, -1), dtype=np.float64) - center_loss)
        losses.append(np.concatenate([in_order(name, tree[f"loss_{name}"].values) for name in names], axis=-1))
    order = chi.attrs["dataset_id_to_name"]
    matrix = []
    for name in names:
        rows = chi["sus"].values[chi["dataset_id"].values == order.index(name)]
        matrix.append(in_order(name, rows.T.reshape(rows.shape[1], len(observables[name]), -1)).T)
    np.savez(settings["output"], phi=np.array(phi), losses=np.array(losses), chi=np.concatenate(matrix))


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("phases", "whole"):
        sys.exit(__doc__)
    warnings.filterwarnings("ignore")
    {"phases": serve, "whole": whole}[sys.argv[1]](json.loads(pathlib.Path(sys.argv[2]).read_text()))
