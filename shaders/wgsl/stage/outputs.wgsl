// Where output k lies in a vector of P parameters, and its design columns.
#import <consts>
fn output_offset(k: u32) -> u32 {
    return select(K * D + k - K, k * D, k < K);
}

fn output_width(k: u32) -> u32 {
    return select(1u, D, k < K);
}
