#!/usr/bin/env python3
"""BlackJAX's SGLD as its documentation sets it up: grad_estimator, minibatches, a constant step size; 4 chains under vmap.

    blackjax_sgld.py --problem DIR/NAME.json

Tuning. Batches are one in a hundred rows, 64 at least. Chains start at the mode. A step of h adds h^2 V from the minibatch to 2h of
noise, V at most about (N/B) l with l the largest eigenvalue of the Hessian at the mode: h = 0.1 B / (N l) lets that inflate no
variance by more than a twentieth (2.5 % of an sd), which leaves the other half of the bound to the Monte Carlo error.
`--step-size` sets another. All steps of the chains thinned by ten enter means and sds.
"""

import argparse
import os

from problem import Clock, Looks, Moments, Problem, least_ess, report, wide

CHAINS = 4
THIN = 10  # steps between the draws that enter means and sds
MOST_KEPT = 4000  # draws of a chain that the ESS looks at


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problem", required=True)
    parser.add_argument("--step-size", type=float)
    parser.add_argument("--steps", type=int, default=1_000_000_000, help="of a chain, at most")
    options = parser.parse_args()
    clock = Clock()
    problem = Problem(options.problem)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax

    jax.config.update("jax_enable_x64", wide(problem))
    import blackjax
    import jax.numpy as jnp
    import numpy as np
    from jax_glm import arrays, log_density, log_likelihood, log_prior

    data = arrays(problem)
    x, y, offset = data
    n = len(problem.y)
    batch = min(n, max(64, n // 100))
    density = log_density(problem, data)
    mode, largest = newton(jax, jnp, density, problem.parameters)
    step_size = options.step_size or 0.1 * batch / (n * largest)
    estimator = blackjax.sgmcmc.gradients.grad_estimator(
        lambda omega: log_prior(problem, omega),
        # The estimator averages over the batch under vmap: one row at a time.
        lambda omega, row: log_likelihood(problem, omega, *(None if a is None else a[None] for a in row)),
        n,
    )
    sgld = blackjax.sgld(estimator)
    block = 50

    @jax.jit
    def advance(keys, positions):
        def one(key, position):
            def step(position, key):
                key_rows, key_noise = jax.random.split(key)
                rows = jax.random.randint(key_rows, (batch,), 0, n)
                minibatch = tuple(None if a is None else a[rows] for a in (x, y, offset))
                return sgld.step(key_noise, position, minibatch, step_size), None

            def draw(position, key):
                position, _ = jax.lax.scan(step, position, jax.random.split(key, THIN))
                return position, position

            return jax.lax.scan(draw, position, jax.random.split(key, block))

        return jax.vmap(one)(keys, positions)

    positions = jnp.tile(mode, (CHAINS, 1))
    key = jax.random.key(1)
    advance = advance.lower(jax.random.split(key, CHAINS), positions).compile()
    before_draws = clock.now()
    moments, looks, kept, stride, blocks = Moments(), Looks(block), [], 1, 0
    while moments.count // CHAINS * THIN < options.steps:
        positions, draws = advance(jax.random.split(jax.random.fold_in(key, blocks), CHAINS), positions)
        draws = np.asarray(draws)
        moments.add(draws.reshape(-1, problem.parameters))
        kept.append(draws[:, ::stride])
        blocks += 1
        if sum(k.shape[1] for k in kept) > MOST_KEPT:  # the ESS is that of thinned chains, which loses nothing here
            kept, stride = [np.concatenate(kept, axis=1)[:, ::2]], min(2 * stride, block)
        if looks.due(moments.count // CHAINS):
            seconds = clock.now()
            full = looks.ess_due(moments.count // CHAINS)
            ess = clock.leave_out(lambda: least_ess(kept)) if full else None
            clock.leave_out(
                lambda: report(
                    seconds,
                    moments.mean(),
                    moments.sd(),
                    draws=moments.count,
                    before_draws=before_draws,
                    ess=ess,
                    step_size=float(step_size),
                    batch=batch,
                )
            )


def newton(jax, jnp, density, parameters):
    """The mode by Newton's method from zero, and the largest eigenvalue of the Hessian of -log density there."""
    gradient, hessian = jax.jit(jax.grad(density)), jax.jit(jax.hessian(density))
    omega = jnp.zeros(parameters)
    for _ in range(20):
        move = jnp.linalg.solve(-hessian(omega), gradient(omega))
        omega = omega + move
        if jnp.abs(move).max() < 1e-4:
            break
    return omega, float(jnp.linalg.eigvalsh(-hessian(omega))[-1])


if __name__ == "__main__":
    main()
