// What is known of each row beside its features: (y, trials) and, where rows have offsets or weights (ROW_PAIRS = 2), a second
// pair (offset, weight).
#import <consts>

@group(0) @binding(2) var<storage, read> obs: array<vec2<f32>>; // obs[N,ROW_PAIRS], held-out rows after the fitted ones

fn row_observed(row: u32) -> vec2<f32> {
    return obs[row * ROW_PAIRS];
}

// Number that is added to the only linear output of a row, where ROW_OFFSETS = 1.
fn row_offset(row: u32) -> f32 {
    return obs[row * ROW_PAIRS + 1u].x;
}

// What a row that counts w times adds to a sum: w·v. A row that does not count adds nothing, whatever v is there.
fn row_counted(row: u32, v: f32) -> f32 {
    if ROW_WEIGHTS == 0u {
        return v;
    }
    let w = obs[row * ROW_PAIRS + 1u].y;
    return select(w * v, 0.0, w == 0.0);
}

// √w·v, whose square is what the row adds to a sum of squares of v.
fn row_root_counted(row: u32, v: f32) -> f32 {
    let w = obs[row * ROW_PAIRS + 1u].y;
    return select(sqrt(w) * v, 0.0, w == 0.0);
}
