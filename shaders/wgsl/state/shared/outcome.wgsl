// Records the outcome of a factorisation. With one block it goes straight to the chain's status words. With several, each
// block writes to `outcome`, and outcomes.wgsl then combines them.
#import <consts>
#import "state/shared/square.wgsl"
#import "state/shared/report.wgsl"

@group(0) @binding(7) var<storage, read_write> outcome: array<vec2<u32>>; // outcome[C,METRIC_BLOCKS], (jitter level, failing parameter or NONE)

// Records the jitter level of square `sq`, and its failing pivot or NONE.
fn record_outcome(sq: u32, level: u32, pivot: u32) {
    let failed = select(parameter_at(sq) + pivot, NONE, pivot == NONE);
    if BLOCKED == 1u {
        outcome[sq / COUNT * METRIC_BLOCKS + FIRST_BLOCK + sq % COUNT] = vec2<u32>(level, failed);
    } else {
        report(sq, level, failed);
    }
}
