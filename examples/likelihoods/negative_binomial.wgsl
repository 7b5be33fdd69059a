// Counts with more spread than Poisson's: mean μ = exp(η₀), variance μ + μ²/φ, φ = exp(η₁) reported as "size".
fn log_lik(eta: array<f32, H>, obs: vec2<f32>) -> f32 {
    let phi = exp_of(eta[1]);
    let ln_sum = ln_of(exp_of(eta[0]) + phi);
    return ln_gamma(obs.x + phi) - ln_gamma(phi) - ln_gamma(obs.x + 1.0)
        + phi * (eta[1] - ln_sum) + obs.x * (eta[0] - ln_sum);
}

fn score(eta: array<f32, H>, obs: vec2<f32>) -> array<f32, H> {
    let mu = exp_of(eta[0]);
    let phi = exp_of(eta[1]);
    let slope = digamma(obs.x + phi) - digamma(phi) + eta[1] + 1.0 - ln_of(mu + phi) - (obs.x + phi) / (mu + phi);
    return array<f32, H>(phi * (obs.x - mu) / (mu + phi), phi * slope);
}

// Exact in η₀. For φ there is no closed form: this is its limit for large φ, and above it for small φ.
fn fisher(eta: array<f32, H>, trials: f32) -> array<f32, HH> {
    let mu = exp_of(eta[0]);
    let phi = exp_of(eta[1]);
    let share = mu / (mu + phi);
    return array<f32, HH>(phi * share, 0.0, 0.5 * share * share);
}

fn mean(eta: array<f32, H>, trials: f32) -> f32 {
    return exp_of(eta[0]);
}
