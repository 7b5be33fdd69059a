// Where each parameter stands: in a network's rows, and in the metric's blocks.
#import <consts>
@group(0) @binding(7) var<storage, read> place: array<vec4<u32>>; // place[P], (column of δ, column of its input, block, 0)

// Whether the metric couples two parameters.
fn same_block(p: u32, q: u32) -> bool {
    return BLOCKED == 0u || place[p].z == place[q].z;
}
