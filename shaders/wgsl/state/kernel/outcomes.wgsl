// Combines the outcomes of all blocks in the chain's status words: the largest jitter, and the first block that failed.
#import <consts>
#import "state/shared/report.wgsl"

@group(0) @binding(1) var<storage, read> outcome: array<vec2<u32>>; // outcome[C,METRIC_BLOCKS], (jitter level, failing parameter or NONE)

@compute @workgroup_size(64)
fn outcomes(@builtin(global_invocation_id) id: vec3<u32>) {
    let chain = id.x;
    if chain >= C {
        return;
    }
    var level = 0u;
    var failed = NONE;
    for (var b = 0u; b < METRIC_BLOCKS; b++) {
        let block = outcome[chain * METRIC_BLOCKS + b];
        level = max(level, block.x);
        failed = select(failed, block.y, failed == NONE);
    }
    report(chain, level, failed);
}
