// Where each parameter stands: in a network's rows, and in the metric's blocks.
#import <consts>
@group(0) @binding(7) var<storage, read> place: array<vec4<u32>>; // place[P], (column of δ, column of its input, block, its first parameter)

// Whether the metric couples two parameters.
fn same_block(p: u32, q: u32) -> bool {
    return BLOCKED == 0u || place[p].z == place[q].z;
}

// Whether two runs of parameters, from..to and then first.., have a block in common: below them the metric is 0.
fn meets(to: u32, first: u32) -> bool {
    return BLOCKED == 0u || to > first || place[min(to, P) - 1u].z == place[min(first, P - 1u)].z;
}

// First parameter of the first block that a run from `first` on touches.
fn block_start(first: u32) -> u32 {
    if BLOCKED == 0u {
        return 0u;
    }
    return place[first].w;
}
