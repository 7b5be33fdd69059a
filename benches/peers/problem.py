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


def tell(seconds, mean, sd=None, *, draws=0, before_draws=None, ess=None, **more):
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


class Looks:
    """When to look: at counts that grow by an eighth of a doubling, so that the bound is seen soon after it is met."""

    def __init__(self, first):
        self.next = first

    def due(self, count):
        if count < self.next:
            return False
        while self.next <= count:
            self.next = max(self.next + 1, self.next * 2 ** 0.125)
        return True


def wide(problem):
    """Whether f32 is too coarse for the sum over all rows: decides jax_enable_x64."""
    return len(problem.y) >= 100_000
