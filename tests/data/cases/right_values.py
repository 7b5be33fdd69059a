"""Right values: posterior means and standard deviations by a second implementation.

For each run file (a few lines of TOML beside its data) this script works out the priors from their written
definition, then the posterior mean and standard deviation of every parameter, in 64-bit floats:

* gaussian, known priors of normal form: given sigma the coefficients are normal exactly, so one integral over
  log sigma is left, done on a grid ("quadrature");
* bernoulli, binomial, poisson with one or two parameters: a grid around the mode ("quadrature");
* everything else: numpyro's NUTS with a dense mass matrix, four chains of 5000 draws after 2000 of warm-up, in
  coordinates centred at the mode and scaled by the curvature there ("nuts"). With more parameters than rows, NUTS
  draws the linear predictor of the rows, and the moments of the coefficients follow from it exactly.

Usage
    python right_values.py cases FOLDER OUT [--only PART]     run files FOLDER/*/*.toml -> OUT/cases/right_values.json
    python right_values.py statsmodels OUT [--only PART]      data sets of statsmodels  -> OUT/statsmodels/
    python right_values.py check FOLDER [--only PART]         NUTS against quadrature where both are possible

`--only` takes run files whose name contains PART; results already in the JSON stay. Needs numpyro, pandas,
statsmodels, pyarrow and Python 3.11 or later.
"""

import argparse
import json
import math
import re
import sys
import time
import tomllib
from pathlib import Path

import jax

jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp
import numpy as np
import pandas as pd
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin
from numpyro.infer import MCMC, NUTS

# ---------------------------------------------------------------------------------------------------------------
# The run files: how the odd ones are read, which are left out, and variants that differ from the file by a table.

READ = {
    "csv/gz": {},
    "csv/preamble": dict(skiprows=2),
    "csv/r_rownames": dict(sep=",", index_col=0),  # one header cell fewer than cells in a row: row names
    "csv/semicolon_comma": dict(sep=";", decimal=","),
    "csv/tab_tsv": dict(sep="\t"),
    "csv/thousands": dict(thousands=","),
    "csv/unnamed_first": dict(index_col=0),
}
SKIP = {
    "binomial/one": "more successes than the 10 trials in some rows",
    "mlp_prices/raw": "a network",
    "offset/exposure": "30 exposures are not positive (the column is a logarithm)",
    "parquet/dict_feature": "a text column among the features",
    "perfect_fit/exact": "zero residuals: improper",
    "separation/eight_flat": "separated, flat weights: improper",
    "separation/flat": "separated, flat weights: improper",
    "softmax/continuous": "a real-valued response as classes",
    "text_columns/run": "text columns",
    "tiny/split_tiny": "which rows are held out is not part of the definition",
    "collinear/dummy-bernoulli-flat": "dependent columns, flat weights: improper",
    "collinear/dummy-gaussian-flat": "dependent columns, flat weights: improper",
    "collinear/lin-poisson-flat": "dependent columns, flat weights: improper",
}
VARIANTS = {  # new name: (run file, tables replaced, note)
    "collinear/dummy-bernoulli-default": ("collinear/dummy-bernoulli-flat", {"prior": {}}),
    "collinear/dummy-gaussian-default": ("collinear/dummy-gaussian-flat", {"prior": {}}),
    "collinear/lin-poisson-default": ("collinear/lin-poisson-flat", {"prior": {}}),
}
NOTES = {
    "collinear/dummy-bernoulli-default": "dummy-bernoulli-flat.toml without its [prior]",
    "collinear/dummy-gaussian-default": "dummy-gaussian-flat.toml without its [prior]",
    "collinear/lin-poisson-default": "lin-poisson-flat.toml without its [prior]",
    "csv/thousands": "x read as thousands: \"11,140\" is 11140",
    "csv/r_rownames": "the row names are no feature",
    "csv/unnamed_first": "the column without a name is no feature",
    "csv/preamble": "the two lines before the header are left out",
    "missing/r": "three classes: \"$3\" (one row), \"case\", \"control\"",
    "binomial/zero": "the rows of 0 trials count as fitted rows for the column means and sds of the priors",
}


def read_table(name, path):
    if path.suffix == ".npz":
        arrays, columns = np.load(path), {}
        for key in arrays:
            a = arrays[key]
            if a.ndim == 2:
                columns |= {f"{key}{j}": a[:, j] for j in range(a.shape[1])}
            else:
                columns[key] = a
        return pd.DataFrame(columns)
    if path.suffix == ".parquet":
        return pd.read_parquet(path).reset_index(drop=True)
    return pd.read_csv(path, keep_default_na=False, **READ.get(name, {}))


# ---------------------------------------------------------------------------------------------------------------
# Default priors.


def round4(v):
    return float(f"{v:.3e}")


def round_to(v, sd):
    """v, to the decimal place of the fourth significant digit of sd."""
    place = int(f"{sd:.3e}".split("e")[1]) - 3
    return float(round(v / 10.0**place) * 10.0**place) if place > 0 else round(float(v), -place)


def normal_text(m, s):
    return f"normal({m:.12g}, {s:.12g})"


def parse_prior(text):
    if text == "flat":
        return None
    found = re.fullmatch(r"normal\(\s*([^,]+),\s*([^)]+)\)", text)
    if not found:
        raise ValueError(f"prior {text} is not handled here")
    return float(found[1]), float(found[2])


class Problem:
    """Data and priors of one run file, in centred and scaled coordinates phi = (a_c, s_j weight_j)."""

    def __init__(self, name, toml, folder):
        data, model, prior = toml["data"], toml["model"], dict(toml.get("prior", {}))
        assert not data.get("standardize") and data.get("intercept", True) and model.get("link", "logit") in ("logit", "log")
        self.name, self.likelihood = name, model["likelihood"]
        table = read_table(name, folder / data["path"])
        used = {data["response"], data.get("offset"), data.get("exposure"), data.get("weights")}
        if isinstance(model.get("trials"), str):
            used.add(model["trials"])
        self.features = data.get("features", [c for c in table.columns if c not in used])
        x = table[self.features].apply(lambda c: c.astype(float)).to_numpy(float).reshape(len(table), -1)
        w = table[data["weights"]].to_numpy(float) if "weights" in data else np.ones(len(table))
        off = np.zeros(len(table))
        if "offset" in data:
            off = table[data["offset"]].to_numpy(float)
        if "exposure" in data:
            off = np.log(table[data["exposure"]].to_numpy(float))
        y, trials, self.levels, self.positive = table[data["response"]], None, None, None
        if self.likelihood in ("bernoulli", "softmax") and (self.likelihood == "softmax" or not pd.api.types.is_numeric_dtype(y)):
            levels = sorted(y.unique())
            y = y.map({v: i for i, v in enumerate(levels)})
            if self.likelihood == "softmax":
                self.levels = [str(v) for v in levels]
            else:
                self.positive = str(levels[1])
        y = y.to_numpy(float)
        if self.likelihood == "binomial":
            t = model["trials"]
            trials = table[t].to_numpy(float) if isinstance(t, str) else np.full(len(y), float(t))
            if not np.all(y == np.round(y)):
                y = np.round(y * trials, 6)  # proportions
            assert np.all((0 <= y) & (y <= trials)), "more successes than trials"
        self.x, self.y, self.w, self.off, self.trials, self.rows = x, y, w, off, trials, len(y)

        n = w.sum()
        mean = (w @ x) / n
        centred = x - mean
        s = np.sqrt((w @ centred**2) / (n - 1)) if n > 1 else np.zeros(x.shape[1])
        s = np.where(x.max(0) == x.min(0), 1.0, s) if x.size else s
        s_y = 1.0
        if self.likelihood == "gaussian":
            ybar = (w @ y) / n
            s_y = math.sqrt((w @ (y - ybar) ** 2) / (n - 1))
        p = x.shape[1]
        self.mean, self.s = mean, s
        self.z = np.column_stack([np.ones(len(y)), centred / s])

        # Each prior is on a combination c . phi.
        self.priors, rows = {}, []
        at_zero = np.concatenate([[1.0], -mean / s])
        if "intercept" in prior:
            self.priors["intercept"] = prior["intercept"]
            rows.append((at_zero, parse_prior(prior["intercept"])))
        elif "intercept_at_means" in prior:
            self.priors["intercept_at_means"] = prior["intercept_at_means"]
            rows.append((np.eye(p + 1)[0], parse_prior(prior["intercept_at_means"])))
        else:
            sd = round4(2.5 * s_y)
            if self.likelihood == "gaussian":
                m = (w @ (y - off)) / n
            elif self.likelihood in ("bernoulli", "binomial"):
                total = w.sum() if trials is None else w @ trials
                q = (w @ y + 0.5) / (total + 1)
                m = math.log(q / (1 - q)) - (w @ off) / n
            elif self.likelihood == "poisson":
                m = math.log((w @ y + 0.5) / (w @ np.exp(off)))
            else:
                m = 0.0
            m = round_to(m, sd)
            self.priors["intercept_at_means"] = normal_text(m, sd)
            rows.append((np.eye(p + 1)[0], (m, sd)))
        for j, f in enumerate(self.features):
            text = prior.get(f"weights.{f}", prior.get("weights", normal_text(0, round4(2.5 * s_y / s[j]))))
            self.priors[f"weights[{f}]"] = text
            c = np.zeros(p + 1)
            c[j + 1] = 1 / s[j]
            rows.append((c, parse_prior(text)))
        if self.likelihood == "gaussian":
            assert model.get("scale", "unknown") == "unknown" and "scale" not in prior
            self.rate = round4(1 / s_y)
            self.s_y = s_y
            self.priors["scale"] = f"exponential({self.rate:.12g})"
        self.lam0, self.h0 = np.zeros((p + 1, p + 1)), np.zeros(p + 1)
        self.flat = [c for c, ms in rows if not ms]
        for c, ms in rows:
            if ms:
                self.lam0 += np.outer(c, c) / ms[1] ** 2
                self.h0 += c * ms[0] / ms[1] ** 2
        self.to_user = np.vstack([at_zero, np.column_stack([np.zeros(p), np.diag(1 / s)])]) if p else np.ones((1, 1))
        self.classes = 1
        if self.levels:
            first = model.get("baseline", "none") == "first"
            self.class_names = self.levels[1:] if first else self.levels
            self.first, self.classes = first, len(self.class_names)

    def names(self):
        base = [("intercept", None)] + [("weights", f) for f in self.features]
        if not self.levels:
            return [k if f is None else f"{k}[{f}]" for k, f in base]
        return [f"{k}[{c}]" if f is None else f"{k}[{c}, {f}]" for k, f in base for c in self.class_names]

    # phi is a vector of length 1 + p, or for softmax that times the classes (coefficient by coefficient).

    def user(self, phi):
        """phi [..., (1+p) classes] -> the parameters on the user's scale, in the order of names()."""
        k = self.classes
        return np.einsum("ij,...jk->...ik", self.to_user, phi.reshape(*phi.shape[:-1], -1, k)).reshape(phi.shape)

    def row_loglik(self, eta):
        """Sum of the log likelihood over rows from eta [N] (softmax [N, classes]); constants left out."""
        y, w = self.y, self.w
        if self.likelihood == "bernoulli":
            return jnp.sum(w * (y * eta - jnp.logaddexp(0.0, eta)))
        if self.likelihood == "binomial":
            return jnp.sum(w * (y * eta - self.trials * jnp.logaddexp(0.0, eta)))
        if self.likelihood == "poisson":
            ref = self.ref  # subtracting the value at a reference keeps digits for very large counts
            return jnp.sum(w * (y * (eta - ref) - np.exp(ref) * jnp.expm1(eta - ref)))
        full = jnp.concatenate([jnp.zeros((len(y), 1)), eta], 1) if self.first else eta
        logp = full - jax.scipy.special.logsumexp(full, axis=1, keepdims=True)
        return jnp.sum(w * logp[np.arange(len(y)), y.astype(int)])

    ref = 0.0

    def log_density(self, phi):
        """Log posterior of phi, not gaussian."""
        k = self.classes
        b = phi.reshape(-1, k)
        eta = self.z @ b + self.off[:, None]
        prior = -0.5 * jnp.sum(b * (self.lam0 @ b)) + jnp.sum(self.h0[:, None] * b)
        return prior + self.row_loglik(eta if self.levels else eta[:, 0])


def find_mode(logp, start):
    grad, hess, logp = jax.jit(jax.grad(logp)), jax.jit(jax.hessian(logp)), jax.jit(logp)
    at = np.array(start, float)
    for _ in range(200):
        g, h = np.asarray(grad(at)), np.asarray(hess(at))
        step = np.linalg.solve(-h, g)
        t, now = 1.0, float(logp(at))
        while not float(logp(at + t * step)) >= now - 1e-9 * (1 + abs(now)) and t > 1e-10:
            t /= 2
        at = at + t * step
        if g @ step < 1e-14:
            break
    cov = np.linalg.inv(-np.asarray(hess(at)))
    return at, np.linalg.cholesky((cov + cov.T) / 2)


# ---------------------------------------------------------------------------------------------------------------
# The three ways.


def gaussian_quadrature(pb, points=3000):
    """Mean and sd of (intercept, weights, scale): given sigma the coefficients are normal, and sigma is on a grid."""
    lam0 = pb.lam0.copy()
    for c in pb.flat:  # a flat prior: a normal so wide that it changes nothing in the first ten digits
        lam0 += np.outer(c, c) / (1e6 * pb.s_y * np.abs(c).max()) ** 2
    root = np.linalg.cholesky(np.linalg.inv(lam0))  # phi = m0 + root t, t standard normal before the data
    m0 = np.linalg.solve(lam0, pb.h0)
    n, weight = pb.w.sum(), np.sqrt(pb.w)
    r = weight * (pb.y - pb.off - pb.z @ m0)
    u, sv, vt = np.linalg.svd(weight[:, None] * (pb.z @ root))
    k = len(sv)
    d = u[:, :k].T @ r
    rest = np.sum((u[:, k:].T @ r) ** 2)
    g = pb.to_user @ root @ vt.T
    s2 = np.concatenate([sv**2, np.zeros(g.shape[1] - k)])

    def log_marginal(us):
        """Of log sigma; the exponential prior of sigma and the Jacobian sigma are in it."""
        v = np.exp(2 * us)[:, None]
        quad = rest / v[:, 0] + (d**2 / (v + sv**2)).sum(1)
        return -(n - k) * us - 0.5 * np.log(v + sv**2).sum(1) - 0.5 * quad - pb.rate * np.exp(us) + us

    us = np.linspace(math.log(pb.s_y) - 60, math.log(pb.s_y) + 6, 6001)
    value = log_marginal(us)
    keep = us[value > value.max() - 40]
    out = []
    for count in (points // 2, points):
        us = np.linspace(keep[0] - 0.05, keep[-1] + 0.05, count)
        value = log_marginal(us)
        assert max(value[0], value[-1]) < value.max() - 35, "the posterior of the scale leaves the grid"
        q = np.exp(value - value.max())
        q /= q.sum()
        v = np.exp(2 * us)[:, None]
        means = pb.to_user @ m0 + (sv * d / (sv**2 + v)) @ g[:, :k].T
        variances = (v / (s2 + v)) @ (g**2).T
        mean, sigma = q @ means, np.exp(us)
        sd = np.sqrt(q @ (variances + (means - mean) ** 2))
        ms = q @ sigma
        out.append((np.append(mean, ms), np.append(sd, math.sqrt(q @ (sigma - ms) ** 2))))
    return out


def grid_quadrature(pb, points=801):
    """One or two parameters, not gaussian: a grid in coordinates scaled at the mode."""
    p = pb.z.shape[1]
    mode, chol = locate(pb)
    logp = jax.jit(jax.vmap(lambda t: pb.log_density(mode + chol @ t)))
    half = 10.0
    while True:  # widen until nothing is left on the rim
        edge = np.linspace(-half, half, 401)
        if p == 1:
            rim = np.array([[-half], [half]])
        else:
            ones = np.full_like(edge, half)
            rim = np.concatenate([np.column_stack(c) for c in ((edge, ones), (edge, -ones), (ones, edge), (-ones, edge))])
        if np.max(logp(rim)) < float(logp(np.zeros((1, p)))[0]) - 35:
            break
        half *= 1.3
    out = []
    for k in (points // 2 + 1, points):
        g = np.linspace(-half, half, k if p == 2 else 20 * k)
        t = np.stack(np.meshgrid(*[g] * p, indexing="ij"), -1).reshape(-1, p)
        v = np.concatenate([np.asarray(logp(c)) for c in np.array_split(t, max(1, len(t) * pb.rows // 20_000_000))])
        q = np.exp(v - v.max())
        q /= q.sum()
        user = pb.user(mode + t @ chol.T)
        mean = q @ user
        out.append((mean, np.sqrt(q @ (user - mean) ** 2)))
    return out


def locate(pb):
    """The mode and a factor of the inverse curvature there."""
    start = np.zeros(pb.z.shape[1] * pb.classes)
    if pb.likelihood == "poisson":
        start[0] = math.log((pb.w @ pb.y + 0.5) / (pb.w @ np.exp(pb.off)))
        for _ in range(2):
            pb.ref = np.zeros(pb.rows) + np.asarray(pb.z @ start + pb.off)
            start, chol = find_mode(pb.log_density, start)
        return start, chol
    return find_mode(pb.log_density, start)


def run_nuts(potential, dim, seed=1, draws=5000, warmup=2000, chains=4):
    rng = np.random.default_rng(seed)
    kernel = NUTS(potential_fn=potential, dense_mass=True, target_accept_prob=0.95)
    mcmc = MCMC(kernel, num_warmup=warmup, num_samples=draws, num_chains=chains, chain_method="vectorized", progress_bar=False)
    mcmc.run(jax.random.PRNGKey(seed), init_params=jnp.asarray(rng.normal(size=(chains, dim)) * 0.5), extra_fields=("diverging",))
    diverged = int(np.sum(mcmc.get_extra_fields()["diverging"]))
    if diverged:
        print(f"    {diverged} divergent", file=sys.stderr)
    return np.asarray(mcmc.get_samples(group_by_chain=True))


def summarise(draws):
    """Mean, sd, mcse, r-hat from [chains, draws, parameters]."""
    sd = draws.std((0, 1), ddof=1)
    return draws.mean((0, 1)), sd, sd / np.sqrt(effective_sample_size(draws)), split_gelman_rubin(draws)


def nuts(pb, draws=5000):
    """Draws of the parameters on the user's scale."""
    if pb.likelihood == "gaussian":  # for the check only
        p = pb.z.shape[1]
        lam0, h0 = pb.lam0, pb.h0

        def logp(v):
            b, u = v[:p], v[p]
            resid = pb.y - pb.off - pb.z @ b
            return (
                -pb.w.sum() * u - 0.5 * jnp.sum(pb.w * resid**2) * jnp.exp(-2 * u)
                - 0.5 * b @ lam0 @ b + h0 @ b - pb.rate * jnp.exp(u) + u
            )

        b = np.linalg.lstsq(np.sqrt(pb.w)[:, None] * pb.z, np.sqrt(pb.w) * (pb.y - pb.off), rcond=None)[0]
        u = 0.5 * math.log(pb.w @ (pb.y - pb.off - pb.z @ b) ** 2 / pb.w.sum())
        mode, chol = find_mode(logp, np.append(b, u))
        v = mode + run_nuts(lambda t: -logp(mode + chol @ t), p + 1, draws=draws) @ chol.T
        return np.concatenate([pb.user(v[..., :p]), np.exp(v[..., p:])], -1)
    mode, chol = locate(pb)
    t = run_nuts(lambda t: -pb.log_density(mode + chol @ t), len(mode), draws=draws)
    return pb.user(mode + t @ chol.T)


def wide_nuts(pb, draws=5000):
    """More coefficients than rows: draw the rows' linear predictor; given it the coefficients are normal."""
    cov0 = np.linalg.inv(pb.lam0)
    m0 = cov0 @ pb.h0
    k = pb.z @ cov0 @ pb.z.T
    chol = np.linalg.cholesky(k)
    eta0 = pb.z @ m0 + pb.off
    logp = lambda t: pb.row_loglik(eta0 + chol @ t) - 0.5 * jnp.sum(t**2)
    mode, c2 = find_mode(logp, np.zeros(pb.rows))
    t = mode + run_nuts(lambda v: -logp(mode + c2 @ v), pb.rows, draws=draws) @ c2.T  # [chains, draws, rows]
    gain = pb.to_user @ cov0 @ pb.z.T @ np.linalg.inv(chol).T  # E[user | t] = to_user m0 + gain t
    rest = np.einsum("ij,jk,ik->i", pb.to_user, cov0, pb.to_user) - (gain**2).sum(1)
    given = pb.to_user @ m0 + t @ gain.T
    mean, sd, mcse, rhat = summarise(given)
    return mean, np.sqrt(sd**2 + np.maximum(rest, 0)), mcse, np.maximum(rhat, split_gelman_rubin(t).max())


def solve(pb, draws=5000):
    names = pb.names() + (["scale"] if pb.likelihood == "gaussian" else [])
    rhat = None
    if pb.likelihood == "gaussian" or (not pb.levels and pb.z.shape[1] <= 2):
        method = "quadrature"
        coarse, fine = (gaussian_quadrature if pb.likelihood == "gaussian" else grid_quadrature)(pb)
        mean, sd = fine
        change = np.maximum(np.abs(fine[0] - coarse[0]), np.abs(fine[1] - coarse[1]))
        assert np.all(change < 1e-3 * sd), change / sd
        mcse = np.maximum(change, 1e-6 * sd)  # no chance in it: the change when the grid is made twice as fine
    else:
        method = "nuts"
        while True:
            if pb.z.shape[1] > pb.rows:
                mean, sd, mcse, rhat = wide_nuts(pb, draws)
            else:
                mean, sd, mcse, rhat = summarise(nuts(pb, draws))
            if rhat.max() < 1.005 and np.all(mcse < 0.02 * sd):
                break
            print(f"    r-hat {rhat.max():.4f}, mcse/sd {np.max(mcse / sd):.4f}: more draws", file=sys.stderr)
            draws *= 3
            assert draws < 60_000, "not settled"
    entry = {"likelihood": pb.likelihood, "method": method, "rows": pb.rows, "priors": pb.priors}
    if pb.positive:
        entry["positive"] = pb.positive
    if rhat is not None:
        entry["max_rhat"] = round(float(rhat.max()), 5)
    if pb.name in NOTES:
        entry["note"] = NOTES[pb.name]
    entry["parameters"] = {
        n: {"mean": float(f"{a:.9g}"), "sd": float(f"{b:.6g}"), "mcse": float(f"{c:.2g}")} for n, a, b, c in zip(names, mean, sd, mcse)
    }
    return entry


# ---------------------------------------------------------------------------------------------------------------
# The run files of a folder of cases.


def case_problems(folder, only):
    problems = {}
    for file in sorted(folder.glob("*/*.toml")):
        name = f"{file.parent.name}/{file.stem}"
        problems[name] = (file, {})
    problems |= {new: (problems[old][0], tables) for new, (old, tables) in VARIANTS.items()}
    order = sorted(problems, key=lambda n: (n.startswith("wide/"), n.startswith("real/"), n))
    for name in order:
        if name in SKIP or (only and only not in name):
            continue
        file, tables = problems[name]
        yield name, Problem(name, tomllib.loads(file.read_text()) | tables, file.parent)


def write(path, results):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(sorted(results.items())), indent=1) + "\n")


def run_all(problems, path):
    results = json.loads(path.read_text()) if path.exists() else {}
    for name, pb in problems:
        begin = time.time()
        try:
            results[name] = solve(pb)
        except Exception as error:
            print(f"{name}: FAILED {type(error).__name__}: {error}", flush=True)
            continue
        write(path, results)
        e = results[name]
        first = ", ".join(f"{k} {v['mean']:.5g} ± {v['sd']:.4g}" for k, v in list(e["parameters"].items())[:4])
        print(f"{name}: {e['method']} {e.get('max_rhat', '')} {time.time() - begin:.1f} s: {first}", flush=True)


def check(problems):
    """NUTS beside quadrature, in standard deviations."""
    for name, pb in problems:
        if pb.z.shape[1] > 10 or not (pb.likelihood == "gaussian" or (not pb.levels and pb.z.shape[1] <= 2)):
            continue
        _, (mean, sd) = (gaussian_quadrature if pb.likelihood == "gaussian" else grid_quadrature)(pb)
        m, s, mcse, rhat = summarise(nuts(pb))
        print(f"{name}: mean off by {np.max(np.abs(m - mean) / mcse):.1f} mcse, sd by {100 * np.max(np.abs(s / sd - 1)):.1f} %, r-hat {rhat.max():.4f}", flush=True)


# ---------------------------------------------------------------------------------------------------------------
# The data sets of statsmodels.


def statsmodels_tables():
    """name: (table, run-file keys under [data], under [model], step between rows taken, remark)"""
    import statsmodels.api as sm

    d = lambda n: getattr(sm.datasets, n).load_pandas().data.reset_index(drop=True)
    gauss = {"likelihood": "gaussian"}
    yield "longley", d("longley"), {"response": "TOTEMP"}, gauss, 1, ""
    yield "stackloss", d("stackloss"), {"response": "STACKLOSS"}, gauss, 1, ""
    yield "spector", d("spector"), {"response": "GRADE"}, {"likelihood": "bernoulli"}, 1, ""
    yield "cpunish", d("cpunish"), {"response": "EXECUTIONS"}, {"likelihood": "poisson"}, 1, ""
    t = d("star98")
    t.insert(1, "STUDENTS", t["NABOVE"] + t["NBELOW"])
    t = t.drop(columns="NBELOW")
    yield "star98", t, {"response": "NABOVE"}, {"likelihood": "binomial", "trials": "STUDENTS"}, 2, "STUDENTS = NABOVE + NBELOW"
    t = d("fair")
    t["affair"] = (t.pop("affairs") > 0).astype(int)
    yield "fair", t, {"response": "affair"}, {"likelihood": "bernoulli"}, 6, "affair = (affairs > 0)"
    yield "randhie", d("randhie"), {"response": "mdvis"}, {"likelihood": "poisson"}, 26, ""
    t = d("anes96")[["PID", "logpopul", "selfLR", "age", "educ", "income"]]
    yield "anes96", t, {"response": "PID"}, {"likelihood": "softmax", "baseline": "first"}, 1, "the columns of the multinomial logit in the documentation"
    yield "ccard", d("ccard"), {"response": "AVGEXP"}, gauss, 1, ""
    features = {"features": ["urban", "poverty", "hs_grad", "single"]}
    yield "statecrime", d("statecrime"), {"response": "murder"} | features, gauss, 1, "without the names of the states"
    yield "engel", d("engel"), {"response": "foodexp"}, gauss, 1, ""
    yield "cancer", d("cancer"), {"response": "cancer", "exposure": "population"}, {"likelihood": "poisson"}, 1, "the population as exposure, no features"
    yield "nile", d("nile"), {"response": "volume"}, gauss, 1, ""
    features = {"features": ["ttme", "invc", "invt", "gc", "hinc", "psize"]}
    yield "modechoice", d("modechoice"), {"response": "choice"} | features, {"likelihood": "bernoulli"}, 1, "each row an alternative"
    t = d("heart")
    t.insert(0, "log_survival", np.log(t.pop("survival")).round(6))
    yield "heart", t, {"response": "log_survival", "features": ["age"]}, gauss, 1, "log_survival = ln(survival); censoring is left aside"


def cell(v):
    return str(int(v)) if float(v).is_integer() else repr(float(v))


def toml_value(v):
    return json.dumps(v)


def statsmodels_sets(out, only):
    import statsmodels.api as sm

    out.mkdir(parents=True, exist_ok=True)
    lines, problems = [], []
    for name, table, data, model, step, remark in statsmodels_tables():
        table = table.iloc[::step]
        text = ",".join(table.columns) + "\n" + "".join(",".join(map(cell, r)) + "\n" for r in table.to_numpy(float))
        assert len(text) <= 40_000, (name, len(text))
        (out / f"{name}.csv").write_text(text)
        data = {"path": f"{name}.csv"} | data
        run = "[data]\n" + "".join(f"{k} = {toml_value(v)}\n" for k, v in data.items())
        run += "[model]\n" + "".join(f"{k} = {toml_value(v)}\n" for k, v in model.items())
        (out / f"{name}.toml").write_text(run)
        module = getattr(sm.datasets, name)
        paragraphs = re.split(r"\n\s*\n", module.SOURCE.strip())
        source = paragraphs[0]
        if len(paragraphs) > 1 and (source.endswith(":") or "://" not in source and "://" in paragraphs[1]):
            source = f"{source} {paragraphs[1]}"
        part = f"every {step}th row" if step > 3 else f"every {step}nd row" if step == 2 else "all rows"
        one_line = lambda s: re.sub(r"\s+", " ", s).strip().replace("|", "/").removesuffix(":: ").strip()
        licence = one_line(module.COPYRIGHT)
        if licence == "???":
            licence = "not stated (\"???\")"
        lines.append(
            f"| {name} | {model['likelihood']} | {len(table)} ({part}) | {table.shape[1]} | {remark} | {one_line(source)} | {licence} |"
        )
        if not only or only in name:
            problems.append((name, Problem(name, tomllib.loads(run), out)))
    return lines, problems


README = """# Right values

Posterior means and standard deviations from a second implementation, for tests: `cases/right_values.json` for the
run files of the cases, `statsmodels/` for fifteen data sets that statsmodels ships (CSV, a run file without priors or
settings, and the values). `right_values.py` makes all of it again; its docstring says how.

* `quadrature`: exact to about six digits; `mcse` is then the change from a grid half as fine, at least 1e-6 sd. `nuts`: four chains of
  5000 draws or more, r-hat below 1.005, `mcse` below 0.02 standard deviations.
* `priors` are the priors as used, rounded as the definition says. For softmax one prior serves every class.
* `weights` are on the scale of the data, `intercept` is at x = 0.
* `positive` names the level of a text response that counts as 1 (the later one in sorted order).

The integers among the values are written without a decimal point; everything else is as statsmodels has it.

| data set | likelihood | rows | columns | what was changed | source | copyright as statsmodels states it |
|---|---|---|---|---|---|---|
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["cases", "statsmodels", "check"])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    if args.what == "cases":
        folder, out = args.folders
        run_all(case_problems(folder, args.only), out / "cases" / "right_values.json")
    elif args.what == "check":
        check(case_problems(args.folders[0], args.only))
    else:
        out = args.folders[0]
        lines, problems = statsmodels_sets(out / "statsmodels", args.only)
        (out / "README.md").write_text(README + "\n".join(lines) + "\n")
        run_all(problems, out / "statsmodels" / "right_values.json")


if __name__ == "__main__":
    main()
