"""What the peers of `sngd bench --posterior` share: the problem's files, the clock, the lines of output.

Parameters are ordered class by class, the intercept first: [K, 1 + D] flattened, P = K (1 + D).
"""

import json
import os
import time

_LOADED = time.time()


def started():
    """When this process began, in seconds of the epoch: as the bench says, else when this module was loaded."""
    return float(os.environ.get("SNGD_BENCH_STARTED", _LOADED))


class Clock:
    """Wall time since the process began, less what was spent on diagnostics that a user need not wait for."""

    def __init__(self):
        self.aside = 0.0

    def now(self):
        return time.time() - started() - self.aside

    def leave_out(self, work):
        """Does work that does not count."""
        begun = time.time()
        result = work()
        self.aside += time.time() - begun
        return result


class Problem:
    """Data and model: x[N, 1 + D] with a column of ones first, y[N], exposure[N] or None."""

    def __init__(self, path):
        import numpy as np

        with open(path) as file:
            words = json.load(file)
        data = np.load(os.path.join(os.path.dirname(path), words["data"]))
        self.features = data["x"]
        self.y = data["y"]
        self.exposure = data["exposure"] if "exposure" in data.files else None
        self.name = words["name"]
        self.likelihood = words["likelihood"]
        self.prior_sd = float(words["prior_sd"])
        self.classes = int(self.y.max()) + 1 if self.likelihood == "softmax" else 1
        self.width = self.features.shape[1] + 1
        self.parameters = self.classes * self.width

    @property
    def x(self):
        """The design, made where it is asked for."""
        import numpy as np

        return np.concatenate([np.ones((len(self.y), 1)), self.features], axis=1)


def report(seconds, mean, sd=None, *, draws=0, before_draws=None, ess=None, **more):
    """One line of output: the moments known after so many seconds."""
    line = {
        "seconds": round(seconds, 4),
        "before_draws": round(seconds if before_draws is None else before_draws, 4),
        "draws": int(draws),
        "mean": [float(v) for v in mean],
        "sd": None if sd is None else [float(v) for v in sd],
        "ess": None if ess is None else float(ess),
        **more,
    }
    print(json.dumps(line), flush=True)


class Moments:
    """Running means and sds of draws [n, P], in f64 about the first draw."""

    def __init__(self):
        self.count, self.centre, self.sum, self.square = 0, None, 0.0, 0.0

    def add(self, draws):
        import numpy as np

        draws = np.asarray(draws, np.float64)
        if self.centre is None:
            self.centre = draws[0].copy()
        off = draws - self.centre
        self.count += len(off)
        self.sum = self.sum + off.sum(0)
        self.square = self.square + (off * off).sum(0)

    def mean(self):
        return self.centre + self.sum / self.count

    def sd(self):
        import numpy as np

        mean = self.sum / self.count
        return np.sqrt(np.maximum(self.square / self.count - mean * mean, 0.0) * self.count / max(self.count - 1, 1))


def least_ess(blocks):
    """Smallest effective sample size over parameters of blocks [C, n, P] that follow each other, by Geyer's initial monotone sequence."""
    import numpy as np

    draws = np.concatenate(blocks, axis=1).astype(np.float64)
    chains, n, parameters = draws.shape
    least = float("inf")
    for first in range(0, parameters, 64):  # in parts, for the memory of the transforms
        part = draws[:, :, first : first + 64]
        means = part.mean(1, keepdims=True)
        spectrum = np.fft.rfft(part - means, n=2 * n, axis=1)
        covariance = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, :n].mean(0) / n  # [n, P], the chains' mean
        within = covariance[0] * n / (n - 1)
        between = means[:, 0].var(0, ddof=1) if chains > 1 else 0.0
        total = covariance[0] + between
        rho = 1.0 - (within - covariance) / total
        rho[0] = 1.0
        pairs = rho[: n - n % 2].reshape(n // 2, 2, -1).sum(1)
        positive = np.cumprod(pairs > 0, axis=0)
        pairs = np.minimum.accumulate(np.where(positive, pairs, 0.0), axis=0)
        time = np.maximum(2.0 * pairs.sum(0) - 1.0, 1.0 / np.log10(max(chains * n, 10)))
        least = min(least, float((chains * n / time).min()))
    return least


class Looks:
    """When to look: at counts that grow by an eighth of a doubling, so that the bound is seen soon after it is met."""

    def __init__(self, first):
        self.next, self.next_ess = first, first

    def due(self, count):
        if count < self.next:
            return False
        while self.next <= count:
            self.next = max(self.next + 1, self.next * 2 ** 0.125)
        return True

    def ess_due(self, count):
        """At every doubling: effective sample sizes cost more than moments, and their rate hardly changes."""
        if count < self.next_ess:
            return False
        self.next_ess = 2 * count
        return True


def wide(problem):
    """Whether f32 is too coarse for the sum over all rows: decides jax_enable_x64."""
    return len(problem.y) >= 100_000
