// Survival times, some cut off: y is a time, the companion column 1 where the event was seen and 0 where only y was survived.
// Scale exp(η₀), shape k = exp(η₁), hazard k/y·(y/scale)^k.
fn log_lik(eta: array<f32, H>, obs: vec2<f32>) -> f32 {
    let k = exp_of(eta[1]);
    let w = k * (ln_of(obs.x) - eta[0]);
    return obs.y * (eta[1] + w - ln_of(obs.x)) - exp_of(w);
}

fn score(eta: array<f32, H>, obs: vec2<f32>) -> array<f32, H> {
    let k = exp_of(eta[1]);
    let w = k * (ln_of(obs.x) - eta[0]);
    let z = exp_of(w);
    return array<f32, H>(k * (z - obs.y), obs.y * (1.0 + w) - z * w);
}

// Of a time that was seen to its end, E[s sᵀ] with γ = 0.5772 (Euler) and π²/6; a row that was cut off adds nothing. What a cut
// would have added is known only with the law of the cuts, which the model does not speak of.
fn fisher(eta: array<f32, H>, seen: f32) -> array<f32, HH> {
    let k = exp_of(eta[1]);
    let rest = 1.0 - 0.57721566;
    return array<f32, HH>(seen * k * k, -seen * k * rest, seen * (rest * rest + 1.6449341));
}
