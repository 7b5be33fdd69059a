// Scalars of the step at hand: one slice of a uniform ring, chosen by a dynamic offset.
struct Now {
    step: u32,          // t
    keep: u32,          // 1 where this step's state is a kept draw
    slot: u32,          // kept draw of the block that t belongs to
    epsilon: f32,       // ε
    heat: f32,          // εT times the weight of the correction
    budget: f32,        // (2ε − ε²)T or 2εT
    law: f32,           // ρε²N/B
    spread: f32,        // ε² times the factor that takes Σ(g−ḡ)(g−ḡ)ᵀ to V̂
    temperature: f32,   // as reported
    inverse_temperature: f32,
    first: u32,         // 1 on an engine's first step
    ridge: f32,         // variance of the noise that damping adds before M⁻¹
}
@group(0) @binding(0) var<uniform> now: Now;
