// A kept draw: the state before the step, then STATS statistics, each at the place that its constant STAT_… gives
// (core::stat::Stat).
#import <consts>
const NAN_BITS = 0x7fc00000u;

fn keep_state(chain: u32, lane: u32) {
    let at = (now.slot * C + chain) * (P + STATS);
    for (var p = lane; p < P; p += LANES) {
        kept[at + p] = bitcast<u32>(omega[chain * P + p]);
    }
}

// Statistics of a step that failed, or of a chain that has ended: NaN, as is every statistic that a kernel does not set afterwards.
fn keep_unknown(chain: u32, diverged: bool) {
    let at = (now.slot * C + chain) * (P + STATS) + P;
    for (var s = 0u; s < STATS; s++) {
        kept[at + s] = NAN_BITS;
    }
    kept[at + STAT_DIVERGING] = bitcast<u32>(select(0.0, 1.0, diverged));
}
