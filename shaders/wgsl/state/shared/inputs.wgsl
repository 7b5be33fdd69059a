// Inputs of a network's weights: columns below COLUMNS are features, the next are hidden units, ONE is a bias's constant 1.
#import <consts>
#import "lib/features.wgsl"

@group(0) @binding(2) var<storage, read> row_index: array<u32>; // row_index[C,ROWS]
@group(0) @binding(8) var<storage, read> acts: array<f32>; // acts[C,ROWS,2·HIDDEN], φ(z) of the hidden units, then φ′(z)

const ONE = 0xffffffffu;

// Input `column` at row `at` of [C,ROWS].
fn input_of(at: u32, column: u32) -> f32 {
    if column < COLUMNS {
        return feature(row_index[at] * COLUMNS + column);
    }
    if column == ONE {
        return 1.0;
    }
    return acts[at * 2u * HIDDEN + column - COLUMNS];
}
