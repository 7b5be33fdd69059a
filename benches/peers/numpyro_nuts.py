#!/usr/bin/env python3
"""NumPyro's NUTS with its defaults (1000 steps of warm-up, dense_mass off, target acceptance 0.8), 4 chains in parallel.

    numpyro_nuts.py --problem DIR/NAME.json

One JSON line at each look: wall time since process start, means and sds of all draws so far, least ESS.
"""

import argparse
import os

from problem import Clock, Looks, Moments, Problem, least_ess, report, wide

CHAINS = 4
BLOCK = 25  # draws of a chain between looks; one size, so that one compilation serves


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problem", required=True)
    parser.add_argument("--warmup", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=1_000_000, help="of a chain, at most")
    options = parser.parse_args()
    clock = Clock()
    problem = Problem(options.problem)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import numpyro

    numpyro.set_host_device_count(CHAINS)
    import jax

    jax.config.update("jax_enable_x64", wide(problem))
    import jax.numpy as jnp
    import numpy as np
    import numpyro.distributions as dist
    from jax_glm import arrays
    from numpyro.infer import MCMC, NUTS

    def model(x, y, offset):
        prior = dist.Normal(0.0, problem.prior_sd).expand([problem.classes, problem.width]).to_event(2)
        omega = numpyro.sample("omega", prior)
        eta = x @ omega.T
        if problem.likelihood == "softmax":
            numpyro.sample("y", dist.Categorical(logits=eta), obs=y)
        elif problem.likelihood == "poisson":
            numpyro.sample("y", dist.Poisson(jnp.exp(eta[:, 0] + offset)), obs=y)
        else:
            numpyro.sample("y", dist.Bernoulli(logits=eta[:, 0]), obs=y)

    kernel = NUTS(model)
    mcmc = MCMC(
        kernel, num_warmup=options.warmup, num_samples=BLOCK, num_chains=CHAINS, chain_method="parallel", progress_bar=False
    )
    data = arrays(problem)
    mcmc.warmup(jax.random.key(1), *data)

    @jax.pmap
    def advance(state):
        """MCMC.run compiles its loop at every call; this one is compiled once."""

        def draw(state, _):
            state = kernel.sample(state, data, {})
            return state, state.z["omega"]

        return jax.lax.scan(draw, state, None, length=BLOCK)

    state = mcmc.post_warmup_state
    advance = advance.lower(state).compile()
    before_draws = clock.now()
    moments, looks, kept = Moments(), Looks(BLOCK), []
    while moments.count < CHAINS * options.draws:
        state, block = advance(state)
        block = np.asarray(block).reshape(CHAINS, BLOCK, -1)
        kept.append(block)
        moments.add(block.reshape(CHAINS * BLOCK, -1))
        if looks.due(moments.count // CHAINS):
            seconds = clock.now()
            full = looks.ess_due(moments.count // CHAINS)
            ess = clock.leave_out(lambda: least_ess(kept)) if full else None
            clock.leave_out(
                lambda: report(
                    seconds, moments.mean(), moments.sd(), draws=moments.count, before_draws=before_draws, ess=ess
                )
            )


if __name__ == "__main__":
    main()
