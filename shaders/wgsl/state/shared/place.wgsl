// Where each parameter is in a network's rows and in the metric's squares.
#import <consts>
@group(0) @binding(7) var<storage, read> place: array<vec4<u32>>; // place[P], (column of δ, column of its input, its diagonal element among the squares, 0)

// Index of a parameter's diagonal entry in [SQUARES].
fn diagonal_of(p: u32) -> u32 {
    return place[p].z;
}
