//! Bayesian posterior sampling on the GPU with stochastic natural gradients
