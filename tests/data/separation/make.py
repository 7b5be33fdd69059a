"""Writes decisions.csv: whether classes are separated, by a linear programme of SciPy, for 200 data sets made of whole numbers.

    pip install numpy scipy && python make.py

The data are made again from the numbers of each line by `propriety/tests.rs` in sngd-cpu; keep both sides in step.
"""

import csv
import pathlib

import numpy as np
from scipy.optimize import linprog

MASK = (1 << 64) - 1


class SplitMix:
    """The generator splitmix64 (Steele, Lea and Flood 2014)."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return (z ^ (z >> 31)) % n


def make(seed, n, p, grid, flips):
    """Features [n,p] and labels [n]: the sign of a rule with whole coefficients, labels on its border at random, some flipped."""
    random = SplitMix(seed)
    rule = [random.below(7) - 3 for _ in range(p + 1)]
    x = np.zeros((n, p), dtype=int)
    y = np.zeros(n, dtype=int)
    for i in range(n):
        x[i] = [random.below(2 * grid + 1) - grid for _ in range(p)]
        score = rule[p] + int(sum(r * v for r, v in zip(rule, x[i])))
        y[i] = random.below(2) if score == 0 else int(score > 0)
    for _ in range(flips):
        i = random.below(n)
        y[i] = 1 - y[i]
    # No column is constant.
    x[0] += grid + 1
    return x, y


def decide(x, y, free):
    """`free`: which coefficients have a flat prior: all, all but the intercept, or all but the first column's."""
    n = len(y)
    design = np.column_stack([np.ones(n), x]).astype(float)
    design = {"all": design, "no_intercept": design[:, 1:], "no_first": np.delete(design, 1, axis=1)}[free]
    f = design.shape[1]
    if np.linalg.matrix_rank(design) < f:
        return "dependent"
    # Scaled, so that the bounds on the direction are alike.
    rows = (2 * y - 1)[:, None] * design / np.abs(design).max(axis=0)
    strict = linprog(np.zeros(f), A_ub=-rows, b_ub=-np.ones(n), bounds=(None, None), method="highs")
    if strict.status == 0:
        return "complete"
    assert strict.status == 2, strict.message
    weak = linprog(-rows.sum(axis=0), A_ub=-rows, b_ub=np.zeros(n), bounds=(-1, 1), method="highs")
    assert weak.status == 0, weak.message
    return "quasi" if -weak.fun > 1e-7 else "none"


def main():
    out = pathlib.Path(__file__).with_name("decisions.csv")
    with out.open("w", newline="") as file:
        write = csv.writer(file, lineterminator="\n")
        write.writerow(["seed", "rows", "columns", "grid", "flips", "link", "flat", "decision"])
        random = SplitMix(2027)
        for seed in range(200):
            small = random.below(2)
            n = 8 + random.below(40 if small else 993)
            p = 1 + random.below(6)
            grid = [1, 1, 2, 3, 10, 1000][random.below(6)]
            flips = [0, 0, 0, 0, 1, 20][random.below(6)]
            link = ["logit", "probit", "cloglog"][seed % 3]
            free = ["all", "all", "no_intercept", "no_first"][random.below(4) if p > 1 else 0]
            decision = decide(*make(seed, n, p, grid, flips), free)
            write.writerow([seed, n, p, grid, flips, link, free, decision])


if __name__ == "__main__":
    main()
