#!/usr/bin/env python3
"""statsmodels' GLM, iteratively reweighted: the maximum-likelihood fit (no prior) and its standard errors, judged as means and sds.

    statsmodels_fit.py --problem DIR/NAME.json
"""

import argparse

from problem import Clock, Problem, report


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problem", required=True)
    options = parser.parse_args()
    clock = Clock()
    problem = Problem(options.problem)
    import statsmodels.api as sm

    family = {"bernoulli": sm.families.Binomial, "poisson": sm.families.Poisson}.get(problem.likelihood)
    if family is None:
        parser.error(f"found likelihood {problem.likelihood}, expected bernoulli or poisson: GLM has no softmax")
    fit = sm.GLM(problem.y, problem.x, family=family(), exposure=problem.exposure).fit()
    report(clock.now(), fit.params, fit.bse)


if __name__ == "__main__":
    main()
