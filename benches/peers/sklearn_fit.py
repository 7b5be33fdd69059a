#!/usr/bin/env python3
"""scikit-learn's fit under the same prior: a mode, no sds. Its time is that of the whole process, np.load included.

    sklearn_fit.py --problem DIR/NAME.json --solver newton-cholesky

The constant is a column of its own, so that the intercept has its prior too: C is the prior's variance, as the objective is
C times the loss plus half the squared norm. PoissonRegressor divides by the sum of weights: alpha is the precision over that.
"""

import argparse

from problem import Clock, Problem, report


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problem", required=True)
    parser.add_argument("--solver", choices=["newton-cholesky", "lbfgs"], default="newton-cholesky")
    options = parser.parse_args()
    clock = Clock()
    problem = Problem(options.problem)
    variance = problem.prior_sd**2
    if problem.likelihood == "poisson":
        from sklearn.linear_model import PoissonRegressor

        weights = problem.exposure
        fit = PoissonRegressor(alpha=1.0 / (variance * weights.sum()), fit_intercept=False, solver=options.solver)
        fit.fit(problem.x, problem.y / weights, sample_weight=weights)
    else:
        from sklearn.linear_model import LogisticRegression

        fit = LogisticRegression(C=variance, fit_intercept=False, solver=options.solver)
        fit.fit(problem.x, problem.y)
    report(clock.now(), fit.coef_.ravel())


if __name__ == "__main__":
    main()
