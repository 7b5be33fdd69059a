#!/usr/bin/env python3
"""SNGD in JAX, as an expert would write it: the peer that `sngd` is timed against.

The model is logistic regression with prior normal(0, 1) on every weight, the sampler SNGD at T = 1, kappa = 0:

    g  = (N/B) sum_batch (p - y) x + Lambda w            minibatch gradient of the cost, [P]
    M  = (N/B) sum_batch p (1 - p) x x' + Lambda         exact Fisher of the batch plus the prior's, [P, P]
    h  = ||L^-1 x||^2,  M = L L'                         leverages of the batch rows, [B]
    v  = (N/B) sum_batch p (1 - p) (1 - 2p) h x          grad ln|M| in closed form, [P]
    w <- w + L^-T ( -e L^-1 (g + T v) + sqrt((2e - e^2) T) z )        drift, correction and noise in one back-solve

Batches are drawn with replacement; the noise is `full`: (2e - e^2) T M, nothing deducted for the minibatch.
Style: one chain written plainly, vmap over chains, lax.scan over steps, jit around it all; f32 throughout.

    jax_sngd.py --workload W1 --seconds 3        one JSON line; --workload all for W1..W6
    jax_sngd.py --check                          is the sampler right? compares it with the Laplace approximation
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
from jax.scipy.linalg import solve_triangular  # noqa: E402

jax.config.update("jax_enable_x64", False)

#            N       P     C     B
WORKLOADS = {
    "W1": (10_000, 8, 1024, 64),
    "W2": (10_000, 32, 256, 128),
    "W3": (10_000, 64, 64, 256),
    "W4": (10_000, 256, 16, 512),
    "W5": (20_000, 1024, 2, 1024),
    "W6": (20_000, 4096, 1, 4096),
}
STEP_SIZE = 0.1
TEMPERATURE = 1.0
PRIOR_PRECISION = 1.0
SEED = 1


def synthetic(n, p, seed=SEED):
    """X[N,P] standard normal, labels from a logistic model whose weights have norm about 1."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, p)).astype(np.float32)
    truth = rng.standard_normal(p) / np.sqrt(p)
    y = (rng.random(n) < 1.0 / (1.0 + np.exp(-x.astype(np.float64) @ truth))).astype(np.float32)
    return x, y


def update(omega, xb, yb, z, scale, eps, leverages):
    """One SNGD step of one chain: omega[P], rows xb[B,P], labels yb[B], noise z[P], scale = N/B."""
    p = jax.nn.sigmoid(xb @ omega)
    w = p * (1.0 - p)
    fisher = scale * (xb.T * w) @ xb + PRIOR_PRECISION * jnp.eye(omega.size, dtype=omega.dtype)
    chol = jnp.linalg.cholesky(fisher, symmetrize_input=False)
    if leverages == "solve":
        whitened = solve_triangular(chol, xb.T, lower=True)  # [P,B]
        h = jnp.sum(whitened * whitened, axis=0)
    else:  # "inverse": L^-1 once, then a GEMM
        inverse = solve_triangular(chol, jnp.eye(omega.size, dtype=omega.dtype), lower=True)
        whitened = xb @ inverse.T  # [B,P]
        h = jnp.sum(whitened * whitened, axis=1)
    # gradient and correction meet in one product over the rows
    row = (p - yb) + TEMPERATURE * w * (1.0 - 2.0 * p) * h
    drift = scale * (row @ xb) + PRIOR_PRECISION * omega
    if leverages == "solve":
        forward = solve_triangular(chol, drift, lower=True)
        noise = jnp.sqrt((2.0 * eps - eps * eps) * TEMPERATURE) * z
        return omega + solve_triangular(chol, noise - eps * forward, lower=True, trans="T")
    noise = jnp.sqrt((2.0 * eps - eps * eps) * TEMPERATURE) * z
    return omega + inverse.T @ (noise - eps * (inverse @ drift))


@partial(jax.jit, static_argnames=("steps", "batch", "leverages", "full_batch", "keep"), donate_argnums=(1,))
def advance(key, omega, x, y, eps, *, steps, batch, leverages, full_batch=False, keep=False):
    """`steps` steps of all chains: omega[C,P] -> (omega[C,P], draws[steps,C,P] if kept)."""
    chains, p = omega.shape
    n = x.shape[0]

    def one_chain(omega, rows, z):
        xb, yb = (x, y) if full_batch else (x[rows], y[rows])
        return update(omega, xb, yb, z, n / xb.shape[0], eps, leverages)

    def step(omega, key):
        key_rows, key_noise = jax.random.split(key)
        rows = jax.random.randint(key_rows, (chains, 1 if full_batch else batch), 0, n)
        z = jax.random.normal(key_noise, (chains, p), dtype=omega.dtype)
        omega = jax.vmap(one_chain)(omega, rows, z)
        return omega, (omega if keep else None)

    return jax.lax.scan(step, omega, jax.random.split(key, steps))


def measure(name, seconds, leverages, prng):
    """Chain-steps per second of one workload; compilation and a first block are left out."""
    n, p, c, b = WORKLOADS[name]
    x, y = (jnp.asarray(a) for a in synthetic(n, p))
    key = jax.random.key(SEED, impl=prng)
    omega = jnp.zeros((c, p), jnp.float32)

    def block(index, omega, steps):
        omega, _ = advance(
            jax.random.fold_in(key, index), omega, x, y, STEP_SIZE, steps=steps, batch=b, leverages=leverages
        )
        return omega.block_until_ready()

    omega = block(0, omega, 2)  # compile, touch memory
    start = time.perf_counter()
    omega = block(1, omega, 2)
    one = (time.perf_counter() - start) / 2
    steps = int(max(2, min(2000, 0.1 * seconds / one)))  # about ten blocks a measurement
    omega = block(2, omega, steps)  # compile and warm the block that is timed

    total, index, best, spent, start = 0, 3, float("inf"), 0.0, time.perf_counter()
    while spent < seconds:
        omega = block(index, omega, steps)
        total, index, before = total + steps, index + 1, spent
        spent = time.perf_counter() - start
        best = min(best, spent - before)
    return {
        "peer": "jax",
        "workload": name,
        "n": n,
        "p": p,
        "c": c,
        "b": b,
        "steps": total,
        "seconds": round(spent, 4),
        "chain_steps_per_second": round(total * c / spent, 2),
        "best_block": round(steps * c / best, 2),
        "leverages": leverages,
        "prng": prng,
        "finite": bool(jnp.isfinite(omega).all()),
        "jax": jax.__version__,
        "device": jax.devices()[0].platform,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }


def laplace(x, y):
    """Mode and inverse Hessian of the posterior, in f64 by Newton's method."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    omega = np.zeros(x.shape[1])
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-x @ omega))
        hessian = (x.T * (p * (1 - p))) @ x + PRIOR_PRECISION * np.eye(omega.size)
        move = np.linalg.solve(hessian, x.T @ (p - y) + PRIOR_PRECISION * omega)
        omega -= move
        if np.abs(move).max() < 1e-12:
            break
    return omega, np.linalg.inv(hessian)


def check(leverages, prng):
    """W1's data: the posterior at full batch; at B = 4096 the hotter law that `full` noise implies."""
    n, p, _, _ = WORKLOADS["W1"]
    x_host, y_host = synthetic(n, p)
    x, y = jnp.asarray(x_host), jnp.asarray(y_host)
    mode, covariance = laplace(x_host, y_host)
    sd = np.sqrt(np.diag(covariance))
    key = jax.random.key(SEED + 1, impl=prng)
    passed = True
    for label, batch, eps, chains, steps in (("full batch", n, 0.3, 64, 800), ("B = 4096", 4096, 0.1, 64, 1600)):
        omega = jnp.zeros((chains, p), jnp.float32)
        full = batch == n
        options = {"batch": batch, "leverages": leverages, "full_batch": full}
        omega, _ = advance(key, omega, x, y, eps, steps=200, **options)
        _, draws = advance(jax.random.fold_in(key, 1), omega, x, y, eps, steps=steps, keep=True, **options)
        draws = np.asarray(draws, np.float64).reshape(-1, p)
        # minibatch noise on top of the full budget raises the temperature by e N / (B (2 - e))
        temperature = 1.0 if full else 1.0 + eps * n / (batch * (2.0 - eps))
        mean_error = np.abs((draws.mean(0) - mode) / sd).max()
        sd_ratio = draws.std(0) / (sd * np.sqrt(temperature))
        # MCSE of a mean is sqrt((2 - e) / (e S)) sd, of an sd about sqrt(1 / (2 e S)) sd; 4.5 of them plus 1% for Laplace
        size = draws.shape[0]
        mean_bound = 4.5 * np.sqrt(temperature * (2.0 - eps) / (eps * size)) + 0.01
        sd_bound = 4.5 * np.sqrt(1.0 / (2.0 * eps * size)) + 0.01
        good = mean_error < mean_bound and np.abs(sd_ratio - 1).max() < sd_bound
        passed &= bool(good)
        print(
            json.dumps(
                {
                    "peer": "jax",
                    "check": label,
                    "draws": size,
                    "temperature": round(temperature, 4),
                    "worst_mean_error_in_sd": round(float(mean_error), 4),
                    "mean_bound": round(float(mean_bound), 4),
                    "sd_ratio_min": round(float(sd_ratio.min()), 4),
                    "sd_ratio_max": round(float(sd_ratio.max()), 4),
                    "sd_bound": round(float(sd_bound), 4),
                    "passed": bool(good),
                }
            ),
            flush=True,
        )
    return passed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workload", choices=[*WORKLOADS, "all"], default="all")
    parser.add_argument("--seconds", type=float, default=3.0, help="measured time of each workload")
    parser.add_argument(
        "--leverages",
        choices=["auto", "solve", "inverse"],
        default="auto",
        help="||L^-1 x|| by a triangular solve of the rows, by L^-1 and a GEMM, or whichever wins a short race",
    )
    parser.add_argument("--prng", choices=["threefry2x32", "rbg", "unsafe_rbg"], default="threefry2x32")
    parser.add_argument("--check", action="store_true", help="compare the sampler with the Laplace approximation")
    options = parser.parse_args()
    if options.check:
        ways = ["solve", "inverse"] if options.leverages == "auto" else [options.leverages]
        sys.exit(0 if all([check(way, options.prng) for way in ways]) else 1)
    names = list(WORKLOADS) if options.workload == "all" else [options.workload]
    for name in names:
        way = options.leverages
        if way == "auto":  # JAX at its best: a short race, the faster way is measured
            race = {w: measure(name, 0.5, w, options.prng)["best_block"] for w in ("solve", "inverse")}
            way = max(race, key=race.get)
        print(json.dumps(measure(name, options.seconds, way, options.prng)), flush=True)


if __name__ == "__main__":
    main()
