"""The log densities of the posteriors in JAX, for the samplers that want one."""

import jax
import jax.numpy as jnp


def arrays(problem):
    """Device arrays: x[N, 1 + D], y[N] and log exposure[N] or None."""
    float_type = jnp.float64 if jax.config.jax_enable_x64 else jnp.float32
    x = jnp.asarray(problem.x, float_type)
    y = jnp.asarray(problem.y, jnp.int32 if problem.likelihood == "softmax" else float_type)
    offset = None if problem.exposure is None else jnp.log(jnp.asarray(problem.exposure, float_type))
    return x, y, offset


def log_likelihood(problem, omega, x, y, offset):
    """Sum over rows; omega[P]."""
    eta = x @ omega.reshape(problem.classes, problem.width).T
    if problem.likelihood == "softmax":
        chosen = jnp.take_along_axis(eta, y[:, None], axis=1)[:, 0]
        return jnp.sum(chosen - jax.nn.logsumexp(eta, axis=1))
    eta = eta[:, 0]
    if problem.likelihood == "poisson":
        eta = eta + offset
        return jnp.sum(y * eta - jnp.exp(eta))
    return jnp.sum(y * eta - jax.nn.softplus(eta))


def log_prior(problem, omega):
    return -0.5 * jnp.sum(omega**2) / problem.prior_sd**2


def log_density(problem, data):
    x, y, offset = data
    return lambda omega: log_likelihood(problem, omega, x, y, offset) + log_prior(problem, omega)
