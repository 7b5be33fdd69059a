// Relative jitter of a level: 0 at level 0, then JITTER_FIRST·10^(level−1).
#import <consts>
fn jitter_of(level: u32) -> f32 {
    if level == 0u {
        return 0.0;
    }
    var jitter = JITTER_FIRST;
    for (var i = 1u; i < level; i++) {
        jitter *= 10.0;
    }
    return jitter;
}
