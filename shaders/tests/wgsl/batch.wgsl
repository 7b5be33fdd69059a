#import "lib/batch.wgsl"
@group(0) @binding(0) var<storage, read> input: array<u32>; // [n,8]: mode (ROWS_…), N, B, chain, step, key, j
@group(0) @binding(1) var<storage, read_write> output: array<u32>; // [n]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if i >= arrayLength(&output) {
        return;
    }
    let at = 8u * i;
    let key = vec2<u32>(input[at + 5u], input[at + 6u]);
    var rule: RowRule;
    if input[at] == ROWS_SAMPLE {
        rule = fisher_rule(input[at + 1u], input[at + 3u], input[at + 4u], key);
    } else {
        rule = batch_rule(input[at], input[at + 1u], input[at + 2u], input[at + 3u], input[at + 4u], key);
    }
    output[i] = batch_row(rule, input[at + 7u]);
}
