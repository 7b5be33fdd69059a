// The tiles of a Gram matrix's squares. Only those of the dispatch's first block are stored; the next blocks shift them.
#import <consts>
@group(0) @binding(4) var<storage, read> tiles: array<vec4<u32>>; // tiles[…], (k, l, first row, first column) of outputs k >= l, in the dispatch's first block

// Tile `number` of square `sq`. The next block has the next output (OUTPUT_STEP) or begins at a later column (COLUMN_STEP).
fn tile_of(number: u32, sq: u32) -> vec4<u32> {
    let block = sq % COUNT;
    let output = block * OUTPUT_STEP;
    let column = block * COLUMN_STEP;
    return tiles[FIRST_TILE + number] + vec4<u32>(output, output, column, column);
}
