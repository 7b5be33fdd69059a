"""Writes data/arviz.json: draws of several shapes and the diagnostics ArviZ gives them.

    python3 -m venv venv && venv/bin/pip install arviz==1.3.0 && venv/bin/python arviz_fixture.py

The committed file was made with the versions it names. Draws are rounded, to keep it small and so
that both sides read the same numbers.
"""

import json
import math
from pathlib import Path

import arviz
import arviz_stats
import numpy as np
import scipy
from arviz_stats.base import array_stats as az

HDI = (0.94, 0.5)
QUANTILES = (0.0, 0.05, 0.37, 0.95, 1.0)


def ar1(rng, chains, draws, phi):
    x = np.empty((chains, draws))
    x[:, 0] = rng.normal(size=chains)
    noise = rng.normal(size=(chains, draws)) * math.sqrt(1 - phi * phi)
    for t in range(1, draws):
        x[:, t] = phi * x[:, t - 1] + noise[:, t]
    return x


def cases():
    rng = np.random.default_rng(20261103)
    yield "iid", rng.normal(size=(4, 200))
    yield "ar1 0.9", ar1(rng, 4, 250, 0.9)
    yield "ar1 0.99, slower than its length", ar1(rng, 2, 300, 0.99)
    yield "ar1 -0.8, antithetic", ar1(rng, 2, 200, -0.8)
    yield "cauchy", rng.standard_cauchy(size=(4, 200))
    yield "different means", rng.normal(size=(4, 120)) + 0.4 * np.arange(4)[:, None]
    yield "different scales", rng.normal(size=(4, 120)) * (1 + np.arange(4)[:, None])
    yield "a drift, odd draws", rng.normal(size=(3, 101)) + np.linspace(0, 2, 101)
    yield "skewed, odd draws", rng.exponential(size=(4, 75))
    yield "counts", rng.poisson(1.5, size=(4, 150)).astype(float)
    yield "binary", (rng.random(size=(2, 130)) < 0.3).astype(float)
    yield "plus or minus one", np.sign(rng.normal(size=(4, 60)))
    yield "one chain", ar1(rng, 1, 150, 0.5)
    yield "a large offset", 1e6 + rng.normal(size=(2, 100))
    for draws in range(4, 13):
        yield f"{draws} draws", rng.normal(size=(2, draws))
    # Here the draws run out at a pair of lags whose sum is positive though its even lag is not.
    yield "a negative last lag", np.random.default_rng(44).normal(size=(2, 12))
    yield "many short chains", rng.normal(size=(32, 6)) + np.repeat(rng.normal(size=8), 4)[:, None]


def number(x):
    x = float(x)
    return x if math.isfinite(x) else None


def diagnose(draws):
    chains = draws.shape[0]
    out = {
        "mean": draws.mean(),
        "sd": az.std(draws, axis=(0, 1)),
        "rhat": az.rhat(draws) if chains > 1 else math.nan,
        "ess_bulk": az.ess(draws, method="bulk"),
        "ess_tail": az.ess(draws, method="tail", prob=(0.05, 0.95)),
        "ess_mean": az.ess(draws, method="mean"),
        "ess_sd": az.ess(draws, method="sd"),
        "ess_median": az.ess(draws, method="quantile", prob=0.5),
        "mcse_mean": az.mcse(draws, method="mean"),
        "mcse_sd": az.mcse(draws, method="sd"),
    }
    if chains % 2 == 0:
        pairs = np.repeat(np.arange(2), chains // 2)
        out["nested_rank_2"] = az.rhat_nested(draws, pairs, method="rank")
        out["nested_raw_2"] = az.rhat_nested(draws, pairs, method="identity")
    if chains % 4 == 0:
        fours = np.repeat(np.arange(4), chains // 4)
        out["nested_rank_4"] = az.rhat_nested(draws, fours, method="rank")
        out["nested_raw_4"] = az.rhat_nested(draws, fours, method="identity")
    out = {name: number(value) for name, value in out.items()}
    pooled = draws.ravel()
    out["hdi"] = [[p, *map(number, az.hdi(pooled, p, method="nearest"))] for p in HDI]
    out["quantile"] = [[p, number(np.quantile(pooled, p))] for p in QUANTILES]
    return out


def main():
    packages = (arviz, arviz_stats, np, scipy)
    versions = {module.__name__: module.__version__ for module in packages}
    sets = []
    for name, draws in cases():
        draws = np.round(draws, 4)
        sets.append({"name": name, "draws": draws.tolist(), "arviz": diagnose(draws)})
    path = Path(__file__).parent / "data" / "arviz.json"
    path.parent.mkdir(exist_ok=True)
    lines = ",\n".join(json.dumps(s, separators=(",", ":")) for s in sets)
    path.write_text(f'{{"versions":{json.dumps(versions)},"sets":[\n{lines}\n]}}\n')
    print(f"{path}: {path.stat().st_size} bytes, {len(sets)} sets")


if __name__ == "__main__":
    main()
