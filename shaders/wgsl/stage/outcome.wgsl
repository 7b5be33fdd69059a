// What became of a factorisation. Of a metric of one block it is told to the chain at once; blocks leave it in `outcome`,
// and outcomes.wgsl tells the chain of all of them.
#import <consts>
#import "stage/square.wgsl"
#import "stage/tell.wgsl"

@group(0) @binding(7) var<storage, read_write> outcome: array<vec2<u32>>; // outcome[C,METRIC_BLOCKS], (jitter level, failing parameter or NONE)

// Of square `sq`: its jitter level, and its failing pivot or NONE.
fn leave(sq: u32, level: u32, pivot: u32) {
    let failed = select(parameter_at(sq) + pivot, NONE, pivot == NONE);
    if BLOCKED == 1u {
        outcome[sq / COUNT * METRIC_BLOCKS + FIRST_BLOCK + sq % COUNT] = vec2<u32>(level, failed);
    } else {
        tell(sq, level, failed);
    }
}
