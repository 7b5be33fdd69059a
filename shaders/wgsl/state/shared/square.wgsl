// Squares of one order, handled by one dispatch. A metric is a series of squares along its diagonal, one per block, one
// after another in memory; a full metric is a single square. Of the dispatch's [C,COUNT] squares, `sq` is block
// FIRST_BLOCK + sq % COUNT of chain sq / COUNT.
#import <consts>

// Where the square of block `sq` begins; lower, row-major, ORDER per row.
fn square_at(sq: u32) -> u32 {
    return sq / COUNT * SQUARES + FIRST_SQUARE + sq % COUNT * ORDER * ORDER;
}

// Where its parameters begin in a vector of [C,P].
fn vector_at(sq: u32) -> u32 {
    return sq / COUNT * P + parameter_at(sq);
}

// The first of its parameters.
fn parameter_at(sq: u32) -> u32 {
    return FIRST_PARAMETER + sq % COUNT * ORDER;
}
