#!/usr/bin/env python3
"""Posterior moments of a problem in f64 numpy, independent of sngd: mode, inverse Hessian, and what importance weights add.

    laplace_reference.py --problem DIR/NAME.json --out DIR/NAME-reference.json

Draws come from the Laplace approximation, z and -z together. With normalised weights u whose mean is 1, the moments of the
posterior are those of the approximation, which are known, plus the mean of (u - 1) times the same: only the difference between
the two laws has a Monte Carlo error. The effective sample size of the weights and the largest such errors are printed.
"""

import argparse
import json
import sys

from problem import Problem

ROWS = 20_000  # of a block


def blocks(problem):
    """x[n, 1 + D], y[n], log exposure[n] or 0."""
    import numpy as np

    for first in range(0, len(problem.y), ROWS):
        x = problem.features[first : first + ROWS]
        exposure = 0.0 if problem.exposure is None else np.log(problem.exposure[first : first + ROWS, None])
        yield np.concatenate([np.ones((len(x), 1)), x], axis=1), problem.y[first : first + ROWS], exposure


def log_density(problem, omega):
    """[S] of omega[S, P]."""
    import numpy as np

    out = -0.5 * (omega**2).sum(1) / problem.prior_sd**2
    for x, y, offset in blocks(problem):
        eta = x @ omega.T + offset
        out += y @ eta
        if problem.likelihood == "poisson":
            out -= np.exp(eta).sum(0)
        else:
            out -= (np.maximum(eta, 0.0) + np.log1p(np.exp(-np.abs(eta)))).sum(0)
    return out


def newton(problem):
    """Mode[P] and Hessian[P, P] of -log density."""
    import numpy as np

    omega = np.zeros(problem.parameters)
    for _ in range(50):
        gradient = omega / problem.prior_sd**2
        hessian = np.eye(problem.parameters) / problem.prior_sd**2
        for x, y, offset in blocks(problem):
            eta = x @ omega + (offset if np.isscalar(offset) else offset[:, 0])
            if problem.likelihood == "poisson":
                mean = np.exp(eta)
                weight = mean
            else:
                mean = 1.0 / (1.0 + np.exp(-eta))
                weight = mean * (1.0 - mean)
            gradient += x.T @ (mean - y)
            hessian += (x.T * weight) @ x
        move = np.linalg.solve(hessian, gradient)
        omega -= move
        if np.sqrt(move @ hessian @ move) < 1e-7:
            return omega, hessian
    sys.exit(f"{problem.name}: Newton's method did not end within 50 steps, expected a mode")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problem", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--draws", type=int, default=2048, help="pairs are half as many")
    options = parser.parse_args()
    import numpy as np

    problem = Problem(options.problem)
    if problem.classes > 1:
        sys.exit(f"{problem.name}: found a softmax, expected bernoulli or poisson; its reference comes from elsewhere")
    mode, hessian = newton(problem)
    covariance = np.linalg.inv(hessian)
    upper = np.linalg.cholesky(hessian).T
    half = np.random.default_rng(1).standard_normal((options.draws // 2, problem.parameters))
    z = np.concatenate([half, -half])
    off = np.linalg.solve(upper, z.T).T
    logs = log_density(problem, mode + off) + 0.5 * (z**2).sum(1)
    weights = np.exp(logs - logs.max())
    weights *= len(weights) / weights.sum()
    ess = len(weights) ** 2 / (weights**2).sum()
    extra = (weights - 1.0)[:, None]
    shift = (extra * off).mean(0)
    second = np.diag(covariance) + (extra * off**2).mean(0)
    sd = np.sqrt(second - shift**2)
    # Pairs are independent of each other; halves of a pair are not.
    pairs = lambda v: (v[: len(half)] + v[len(half) :]) / 2  # noqa: E731
    error = lambda v: pairs(v).std(0) / np.sqrt(len(half))  # noqa: E731
    report = {
        "names": ["intercept", *(f"weights[x{j}]" for j in range(problem.width - 1))],
        "mean": (mode + shift).tolist(),
        "sd": sd.tolist(),
        "mode": mode.tolist(),
        "draws": len(weights),
        "ess": ess,
        "worst_mean_error_in_sd": float((error(extra * off) / sd).max()),
        "worst_sd_error_in_percent": float((50.0 * error(extra * off**2) / second).max()),
    }
    with open(options.out, "w") as file:
        json.dump(report, file)
    print(
        f"{problem.name}: effective sample size {ess:.0f} of {len(weights)} Laplace draws; Monte Carlo errors at most "
        f"{report['worst_mean_error_in_sd']:.4f} sd of a mean, {report['worst_sd_error_in_percent']:.3f} % of an sd"
    )
    if ess < 0.1 * len(weights):
        sys.exit(f"{problem.name}: effective sample size {ess:.0f} of {len(weights)}, expected a tenth at least; no reference")


if __name__ == "__main__":
    main()
