// Where output k's parameters start in a vector of P, and its number of design columns.
#import <consts>
fn output_offset(k: u32) -> u32 {
    return select(K * D + k - K, k * D, k < K);
}

fn output_width(k: u32) -> u32 {
    return select(1u, D, k < K);
}
