#!/usr/bin/env python3
"""Sampling with the metric at the mode in JAX, as an expert would write it: the peer of the workloads W8 and W9.

Logistic regression, prior normal(0, 1). The Hessian M = L L' of the cost at the mode is the metric, the design is whitened once,
rows L^-1 x, and a chain is u = L'(w - mode): a Gaussian posterior is standard normal in u. With d = x'u, and eta, s, a the
predictor, its score and its weight p(1 - p) at the mode, the cost is |u|^2/2 - sum rho, rho what ln p has beyond second order in d.

W8  control variates of second order: g = u - (1/B) sum_batch x r / q over rows drawn by q (alias table), r = s(eta + d) - s + a d;
    u <- u - e g + sqrt(2e - e^2) z. The step does not depend on N.
W9  exact MALA on all rows: the same proposal from the full gradient, a Metropolis test in u; one pass over the rows a step, shared
    by all chains: two products, blocks of rows inside.

    jax_mode.py --workload W8 --p 32 --b 128 --seconds 3       one JSON line each; all sizes where none are given
    jax_mode.py --workload W9 --n 100000
    jax_mode.py --check                                        is it right? on a posterior that is no Gaussian

Style: all chains at once in batched products, lax.scan over steps, jit around it all; f32.
"""

import argparse
import json
import os
import sys
import time
from functools import partial

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

jax.config.update("jax_enable_x64", False)

CHAINS = 64
W8_ROWS = 100_000
W8_PARAMETERS = (8, 32, 128, 512)
W8_BATCHES = (64, 128, 256, 512)
W9_ROWS = (10_000, 100_000, 1_000_000)
W9_PARAMETERS = 50
STEP_SIZE = 0.3
ROWS = 4096  # of a block in W9, so that a block's predictors stay in the cache
SEED = 1


def synthetic(n, p):
    """x[N, P] standard normal in f32, labels from a logistic model whose weights have norm about 1."""
    rng = np.random.default_rng(SEED)
    x = rng.standard_normal((n, p), dtype=np.float32)
    truth = (rng.standard_normal(p) / np.sqrt(p)).astype(np.float32)
    y = (rng.random(n) < 1.0 / (1.0 + np.exp(-(x @ truth)))).astype(np.float32)
    return x, y


def sigmoid(eta):
    return 1.0 / (1.0 + np.exp(-eta))


def expand(x, y):
    """Mode[P], L[P, P] in f64 and, in f32, the whitened design [N, P] and at the mode eta, p and p(1 - p) [N]."""
    omega = np.zeros(x.shape[1])
    for _ in range(50):
        p = sigmoid(x @ omega.astype(np.float32))
        a = p * (1.0 - p)
        hessian = ((x.T * a) @ x).astype(np.float64) + np.eye(omega.size)
        move = np.linalg.solve(hessian, (x.T @ (p - y)).astype(np.float64) + omega)
        omega -= move
        if move @ hessian @ move < 1e-6:
            break
    chol = np.linalg.cholesky(hessian)
    whitened = x @ np.linalg.inv(chol).T.astype(np.float32)
    eta = x @ omega.astype(np.float32)
    p = sigmoid(eta)
    return omega, chol, whitened, (eta, p, p * (1.0 - p))


def influence(whitened, eta, p, a):
    """q[N]: three tenths even, the rest by the remainder's size over 16 draws of the approximation times the leverage."""
    u = np.random.default_rng(SEED + 1).standard_normal((16, whitened.shape[1]), dtype=np.float32)
    d = whitened @ u.T
    rest = np.sqrt(((p[:, None] - sigmoid(eta[:, None] + d) + a[:, None] * d) ** 2).mean(1) * (whitened**2).sum(1))
    rest = rest.astype(np.float64)
    return 0.3 / len(eta) + 0.7 * rest / rest.sum()


def alias_table(q):
    """Walker's table: a row drawn evenly is kept with probability keep[N], else its alias[N] is taken."""
    n = len(q)
    keep, alias = q * n, np.arange(n, dtype=np.int32)
    small = [i for i in range(n) if keep[i] < 1.0]
    large = [i for i in range(n) if keep[i] >= 1.0]
    while small and large:
        i, j = small.pop(), large[-1]
        alias[i] = j
        keep[j] -= 1.0 - keep[i]
        if keep[j] < 1.0:
            small.append(large.pop())
    return np.minimum(keep, 1.0).astype(np.float32), alias


@partial(jax.jit, static_argnames=("steps", "batch", "record"), donate_argnums=(1,))
def control_variates(key, u, x, at_mode, table, eps, *, steps, batch, record=False):
    """W8: `steps` steps of u[C, P]; the positions [steps, C, P] where they are recorded."""
    n = x.shape[0]
    eta, p, a, scale = at_mode
    keep, alias = table
    noise = jnp.sqrt(2.0 * eps - eps * eps)

    def step(u, key):
        key_rows, key_keep, key_noise = jax.random.split(key, 3)
        shape = (u.shape[0], batch)
        rows = jax.random.randint(key_rows, shape, 0, n)
        rows = jnp.where(jax.random.uniform(key_keep, shape) < keep[rows], rows, alias[rows])
        xb = x[rows]
        d = jnp.einsum("cbp,cp->cb", xb, u)
        rest = p[rows] - jax.nn.sigmoid(eta[rows] + d) + a[rows] * d
        gradient = u - jnp.einsum("cbp,cb->cp", xb, rest * scale[rows]) / batch
        u = u - eps * gradient + noise * jax.random.normal(key_noise, u.shape)
        return u, (u if record else None)

    return jax.lax.scan(step, u, jax.random.split(key, steps))


@partial(jax.jit, static_argnames=("steps", "record"), donate_argnums=(1,))
def mala(key, state, x, at_mode, eps, *, steps, record=False):
    """W9: `steps` steps of (u[C, P], cost[C], gradient[C, P], accepted[C]); rows come in blocks [blocks, ROWS, P]."""
    budget = 2.0 * eps - eps * eps

    def cost(u):
        def block(carry, rows):
            x, eta, p, a, weight = rows
            d = x @ u.T  # [ROWS, C]
            eta, p, a, weight = (v[:, None] for v in (eta, p, a, weight))
            # ln p of a row less its expansion to second order about the mode; y cancels
            rho = jax.nn.softplus(eta) - jax.nn.softplus(eta + d) + p * d + 0.5 * a * d * d
            rest = weight * (p - jax.nn.sigmoid(eta + d) + a * d)
            return (carry[0] + jnp.sum(weight * rho, axis=0), carry[1] + rest.T @ x), None

        zero = (jnp.zeros(u.shape[0]), jnp.zeros_like(u))
        (rho, gradient), _ = jax.lax.scan(block, zero, (x, *at_mode))
        return 0.5 * jnp.sum(u * u, axis=1) - rho, u - gradient

    def step(state, key):
        u, old, gradient, accepted = state
        key_noise, key_test = jax.random.split(key)
        z = jax.random.normal(key_noise, u.shape)
        to = u - eps * gradient + jnp.sqrt(budget) * z
        new, gradient_to = cost(to)
        back = u - to + eps * gradient_to
        log_ratio = old - new + 0.5 * jnp.sum(z * z, axis=1) - 0.5 * jnp.sum(back * back, axis=1) / budget
        take = jnp.log(jax.random.uniform(key_test, new.shape)) < log_ratio
        pick = take[:, None]
        state = (jnp.where(pick, to, u), jnp.where(take, new, old), jnp.where(pick, gradient_to, gradient), accepted + take)
        return state, (state[0] if record else None)

    return jax.lax.scan(step, state, jax.random.split(key, steps))


class W8:
    def __init__(self, n, p, batch):
        x, y = synthetic(n, p)
        self.mode, self.chol, whitened, at_mode = expand(x, y)
        q = influence(whitened, *at_mode)
        self.sizes = {"workload": "W8", "n": n, "p": p, "c": CHAINS, "b": batch}
        self.x = jnp.asarray(whitened)
        self.at_mode = tuple(jnp.asarray(v) for v in (*at_mode, (1.0 / q).astype(np.float32)))
        self.table = tuple(jnp.asarray(v) for v in alias_table(q))
        self.state = jnp.zeros((CHAINS, p), jnp.float32)

    def advance(self, key, steps, record=False):
        self.state, draws = control_variates(
            key, self.state, self.x, self.at_mode, self.table, STEP_SIZE, steps=steps, batch=self.sizes["b"], record=record
        )
        self.state.block_until_ready()
        return draws

    def finite(self):
        return bool(jnp.isfinite(self.state).all())

    def more(self):
        return {}


class W9:
    def __init__(self, n, p):
        x, y = synthetic(n, p)
        self.mode, self.chol, whitened, at_mode = expand(x, y)
        self.sizes = {"workload": "W9", "n": n, "p": p, "c": CHAINS, "b": n}
        rows = min(ROWS, n)
        blocks = -(-n // rows)

        def blocked(v):
            """[blocks, rows, ...], zeros in the rows past the last."""
            padded = np.zeros((blocks * rows, *v.shape[1:]), np.float32)
            padded[:n] = v
            return jnp.asarray(padded.reshape(blocks, rows, *v.shape[1:]))

        self.x = blocked(whitened)
        self.at_mode = tuple(blocked(v) for v in (*at_mode, np.ones(n, np.float32)))
        zero = jnp.zeros((CHAINS, p), jnp.float32)
        self.state = (zero, jnp.zeros(CHAINS), zero + 0.0, jnp.zeros(CHAINS))
        self.steps = 0

    def advance(self, key, steps, record=False):
        self.state, draws = mala(key, self.state, self.x, self.at_mode, STEP_SIZE, steps=steps, record=record)
        self.state[0].block_until_ready()
        self.steps += steps
        return draws

    def finite(self):
        return bool(jnp.isfinite(self.state[0]).all())

    def more(self):
        return {"acceptance": round(float(self.state[3].mean()) / self.steps, 4)}


def measure(work, seconds):
    """Chain-steps per second; compilation and a first block are left out."""
    key = jax.random.key(SEED)
    work.advance(jax.random.fold_in(key, 0), 2)  # compile, touch memory
    start = time.perf_counter()
    work.advance(jax.random.fold_in(key, 1), 2)
    one = (time.perf_counter() - start) / 2
    steps = int(max(2, min(5000, 0.1 * seconds / one)))  # about ten blocks a measurement
    work.advance(jax.random.fold_in(key, 2), steps)  # compile and warm the block that is timed
    total, index, best, spent, start = 0, 3, float("inf"), 0.0, time.perf_counter()
    while spent < seconds:
        work.advance(jax.random.fold_in(key, index), steps)
        total, index, before = total + steps, index + 1, spent
        spent = time.perf_counter() - start
        best = min(best, spent - before)
    return {
        "peer": "jax",
        **work.sizes,
        "steps": total,
        "seconds": round(spent, 4),
        "chain_steps_per_second": round(total * CHAINS / spent, 2),
        "best_block": round(steps * CHAINS / best, 2),
        "finite": work.finite(),
        **work.more(),
        "jax": jax.__version__,
        "device": jax.devices()[0].platform,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }


def check():
    """On 300 rows, where the posterior is visibly no Gaussian: W9's draws are exact, W8's must agree with them."""
    draws = {}
    for work in (W9(300, 8), W8(300, 8, 256)):
        key = jax.random.key(SEED + 1)
        work.advance(key, 100)
        name = work.sizes["workload"]
        draws[name] = np.asarray(work.advance(jax.random.fold_in(key, 1), 4000, record=True), np.float64).reshape(-1, 8)
    exact, ours = draws["W9"], draws["W8"]
    size = len(exact)
    # the errors of an autoregression of coefficient 1 - e, sqrt(2) of them for a difference, 4.5 times, and 2 % for the step's length
    mean_bound = 4.5 * np.sqrt(2.0 * (2.0 - STEP_SIZE) / (STEP_SIZE * size)) + 0.02
    sd_bound = 4.5 * np.sqrt(1.0 / (STEP_SIZE * size)) + 0.02
    mean = np.abs(ours.mean(0) - exact.mean(0)).max()
    sd = np.abs(ours.std(0) / exact.std(0) - 1.0).max()
    beyond = np.abs(exact.mean(0)).max()  # of the Laplace approximation, which has 0
    passed = bool(mean < mean_bound and sd < sd_bound and beyond > 2.0 * mean_bound)
    line = {
        "peer": "jax",
        "check": "W8 against W9",
        "draws": size,
        "worst_mean_in_sd": mean,
        "mean_bound": mean_bound,
        "worst_sd_error": sd,
        "sd_bound": sd_bound,
        "mean_off_the_mode": beyond,
        "sd_off_laplace": np.abs(exact.std(0) - 1.0).max(),
    }
    print(json.dumps({k: round(float(v), 4) if isinstance(v, float) else v for k, v in line.items()} | {"passed": passed}))
    return passed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workload", choices=["W8", "W9", "all"], default="all")
    parser.add_argument("--n", type=int, action="append", help="rows; W8's rate does not depend on them")
    parser.add_argument("--p", type=int, action="append", help="parameters")
    parser.add_argument("--b", type=int, action="append", help="batch, of W8")
    parser.add_argument("--seconds", type=float, default=3.0, help="measured time of each size")
    parser.add_argument("--check", action="store_true", help="compare the two samplers where the posterior is no Gaussian")
    options = parser.parse_args()
    if options.check:
        sys.exit(0 if check() else 1)
    if options.workload != "W9":
        for n in options.n or (W8_ROWS,):
            for p in options.p or W8_PARAMETERS:
                for b in options.b or W8_BATCHES:
                    print(json.dumps(measure(W8(n, p, b), options.seconds)), flush=True)
    if options.workload != "W8":
        for n in options.n or W9_ROWS:
            for p in options.p or (W9_PARAMETERS,):
                print(json.dumps(measure(W9(n, p), options.seconds)), flush=True)


if __name__ == "__main__":
    main()
