"""Standard errors of the peer's susceptibilities, and whether two runs agree within their errors."""

import numpy as np


def t_ratio(degrees):
    """97.5 % quantile of Student's t over that of the normal (Cornish-Fisher)."""
    z2, x = 1.96**2, 1 / degrees
    third = (3 * z2**3 + 19 * z2**2 + 17 * z2 - 15) / 384
    return 1 + x * ((z2 + 1) / 4 + x * ((5 * z2**2 + 16 * z2 + 3) / 96 + x * third))


def batch_ids(chains, draws):
    """Which batch each draw is in: about the root of the draws a chain, an even number, 8 at least in all chains."""
    batches = min(draws, max(draws // int(draws**0.5) // 2 * 2, -(-8 // chains)))
    return (np.arange(draws) * batches // draws + batches * np.arange(chains)[:, None]).ravel()


def jackknife(count, value_without):
    """Variance by leaving out batches and pairs of batches, and its degrees of freedom: docs/method.md, Errors."""

    def deleting(width):
        values = np.array([value_without(range(i, min(i + width, count))) for i in range(0, count, width)])
        return (len(values) - 1) * values.var(axis=0)

    if count < 20:
        return deleting(1), count - 1
    pairs = deleting(2)
    return np.maximum(pairs, 2 * pairs - deleting(1)), max(4, count / 7)


class Sums:
    """Sums over each batch of draws of 1, phi, the shifts and their product; phi (chains, draws), shifts (.., J)."""

    def __init__(self, phi, shifts):
        ids = batch_ids(*phi.shape)
        self.count = ids.max() + 1
        phi, shifts = phi.ravel(), shifts.reshape(phi.size, -1).astype(np.float64)
        of_batch = ids == np.arange(self.count)[:, None]
        parts = np.column_stack([np.ones_like(phi), phi, shifts, phi[:, None] * shifts])
        self.parts = of_batch.astype(float) @ parts
        self.total, self.shifts = self.parts.sum(axis=0), shifts.shape[1]

    def means(self, left_out=()):
        """E[phi], E[shift], E[phi shift]."""
        sums = self.total - self.parts[list(left_out)].sum(axis=0)
        return sums[1] / sums[0], sums[2 : 2 + self.shifts] / sums[0], sums[2 + self.shifts :] / sums[0]


def full_centring(own, free):
    """chi = -(E_C[phi shift] - E_C[phi] E_full[shift]) and its standard error, from Sums of a component and of full."""

    def formula(of_own, of_free):
        return -(of_own[2] - of_own[0] * of_free[1])

    at_own, at_free = own.means(), free.means()
    first, first_degrees = jackknife(own.count, lambda i: formula(own.means(i), at_free))
    second, second_degrees = jackknife(free.count, lambda i: formula(at_own, free.means(i)))
    variance = first + second
    degrees = variance**2 / (first**2 / first_degrees + second**2 / second_degrees)
    return formula(at_own, at_free), np.sqrt(variance) * t_ratio(degrees)


def mean_observable(phi):
    """E[phi] and its error, from (chains, draws)."""
    sums = Sums(phi, phi)
    variance, degrees = jackknife(sums.count, lambda i: sums.means(i)[0])
    return sums.means()[0], np.sqrt(variance) * t_ratio(degrees)


def peer_estimates(run, groups):
    """Values and errors per token and per probe, (rows, components), of an .npz of peer.py; groups: a probe's tokens."""
    phi, losses = run["phi"], run["losses"]
    baseline = losses[0].mean(axis=(0, 1), dtype=np.float64)  # a constant in Delta L changes nothing but rounding
    free, results = None, ([], [])
    for observable, loss in zip(phi, losses):
        shifts = loss - baseline - observable[..., None]  # Delta L: losses of probes less that of the evaluation set
        grouped = np.stack([shifts[..., group].mean(axis=-1) for group in groups], axis=-1)
        sums = Sums(observable, shifts), Sums(observable, grouped)
        if free is None:  # the first component is full
            free = sums
            continue
        for result, own, of_free in zip(results, sums, free):
            result.append(full_centring(own, of_free))
    return [tuple(np.stack(columns, axis=1) for columns in zip(*result)) for result in results]


def compare(ours, peer):
    """z of two (value, error), summed up."""
    z = (peer[0] - ours[0]) / np.hypot(ours[1], peer[1])
    slope = np.sum(ours[0] * peer[0] / ours[1] ** 2) / np.sum(ours[0] ** 2 / ours[1] ** 2)
    return {
        "numbers": int(z.size),
        "largest_z": float(np.abs(z).max()),
        "beyond_4": int((np.abs(z) > 4).sum()),
        "beyond_1.96": float((np.abs(z) > 1.96).mean()),
        "mean_z": float(z.mean()),
        "mean_square_z": float((z**2).mean()),
        "signal_to_error": float(np.median(np.abs(ours[0]) / ours[1])),
        "correlation": float(np.corrcoef(ours[0].ravel(), peer[0].ravel())[0, 1]),
        "slope": float(slope),
    }
