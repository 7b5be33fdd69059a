#!/usr/bin/env python3
"""BlackJAX's NUTS after its window adaptation (1000 steps, target acceptance 0.8), 4 chains under vmap.

    blackjax_nuts.py --problem DIR/NAME.json

One JSON line at each look: wall time since process start, means and sds of all draws so far, least ESS.
"""

import argparse
import os

from problem import Clock, Looks, Moments, Problem, least_ess, report, wide

CHAINS = 4
BLOCK = 25  # draws of a chain between looks


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problem", required=True)
    parser.add_argument("--warmup", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=1_000_000, help="of a chain, at most")
    options = parser.parse_args()
    clock = Clock()
    problem = Problem(options.problem)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax

    jax.config.update("jax_enable_x64", wide(problem))
    import blackjax
    import numpy as np
    from jax_glm import arrays, log_density

    density = log_density(problem, arrays(problem))
    adaptation = blackjax.window_adaptation(blackjax.nuts, density)

    @jax.jit
    def warm_up(keys, starts):
        def one(key, start):
            (state, tuned), _ = adaptation.run(key, start, options.warmup)
            return state, tuned["step_size"], tuned["inverse_mass_matrix"]

        return jax.vmap(one)(keys, starts)

    kernel = blackjax.nuts.build_kernel()

    @jax.jit
    def advance(keys, states, step_sizes, masses):
        def one(key, state, step_size, mass):
            def step(state, key):
                state, _ = kernel(key, state, density, step_size, mass)
                return state, state.position

            return jax.lax.scan(step, state, jax.random.split(key, BLOCK))

        return jax.vmap(one)(keys, states, step_sizes, masses)

    key_starts, key_warm, key_draws = jax.random.split(jax.random.key(1), 3)
    starts = 0.1 * jax.random.normal(key_starts, (CHAINS, problem.parameters))
    states, step_sizes, masses = jax.block_until_ready(warm_up(jax.random.split(key_warm, CHAINS), starts))
    advance = advance.lower(jax.random.split(key_draws, CHAINS), states, step_sizes, masses).compile()
    before_draws = clock.now()
    moments, looks, kept = Moments(), Looks(BLOCK), []
    while moments.count < CHAINS * options.draws:
        key = jax.random.fold_in(key_draws, moments.count)
        states, block = advance(jax.random.split(key, CHAINS), states, step_sizes, masses)
        block = np.asarray(block)
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
