// Scalars of the current step: one slice of a uniform ring, chosen by a dynamic offset.
struct Now {
    step: u32,          // number of the step, t
    keep: u32,          // 1 where this step's state is a kept draw
    slot: u32,          // index of that draw among those that the device stores
    epsilon: f32,       // step size ε
    correction: f32,    // factor of the correction: εT times its weight
    budget: f32,        // factor of M in the noise budget, (2ε − ε²)T or 2εT
    minibatch: f32,     // factor ρε²N/B of N·F in the minibatch noise
    covariance: f32,    // factor that takes Σ(g−ḡ)(g−ḡ)ᵀ to ε²V̂
    temperature: f32,   // as the statistics report it
    inverse_temperature: f32,
    first: u32,         // 1 on an engine's first step
    ridge: f32,         // variance of the noise that damping adds before M⁻¹
}
@group(0) @binding(0) var<uniform> now: Now;
