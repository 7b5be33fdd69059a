// Scalars of a dispatch with the metric at the mode: one slice of a uniform ring, chosen by a dynamic offset.
struct ModeNow {
    step: u32,     // t of the first step
    steps: u32,    // steps that the dispatch makes; 1 where all rows are seen
    done: u32,     // steps since the first of the kept draws at hand
    thin: u32,     // steps a kept draw
    first: u32,    // 1 where the starting point is only looked at
    stay: f32,     // 1 − ε
    epsilon: f32,  // ε
    spread: f32,   // √((2ε − ε²)T)
    inverse_temperature: f32,
    inverse_budget: f32, // 1/(2(2ε − ε²)T)
}
@group(0) @binding(0) var<uniform> now: ModeNow;
