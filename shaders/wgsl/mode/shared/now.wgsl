// Scalars of a dispatch with the metric at the mode: one slice of a uniform ring, chosen by a dynamic offset.
struct ModeNow {
    step: u32,     // number of the first step, t
    steps: u32,    // steps that the dispatch makes; 1 where a step uses all rows
    done: u32,     // steps since the first of the kept draws that the device now stores
    thin: u32,     // steps per kept draw
    first: u32,    // 1 where the starting point is only evaluated
    stay: f32,     // 1 − ε
    epsilon: f32,  // step size ε
    spread: f32,   // sd of the noise in u, √((2ε − ε²)T)
    inverse_temperature: f32,
    inverse_budget: f32, // 1/(2(2ε − ε²)T)
}
@group(0) @binding(0) var<uniform> now: ModeNow;
