// Squares of one order, gone over together. A metric is squares along its diagonal, one a block, one after another in
// memory; a full one is a single square. Of the [C,COUNT] at hand, `sq` is block FIRST_BLOCK + sq % COUNT of chain sq / COUNT.
#import <consts>

// Where its square begins; lower, row-major, ORDER a row.
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
