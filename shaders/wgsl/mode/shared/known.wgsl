// The numbers stored for each row at the mode, in the layout of core::expansion::RowLayout.
#import "lib/contract.wgsl"

@group(0) @binding(2) var<storage, read> rows: array<f32>; // rows[N,ROW_LEN]

const ROW_Y: u32 = 0u;
const ROW_TRIALS: u32 = 1u;
const ROW_WEIGHT: u32 = 2u;
const ROW_LOG_LIK: u32 = 3u;
const ROW_INVERSE_Q: u32 = 4u;
const ROW_ETA: u32 = 5u;
const ROW_SCORE: u32 = 5u + H;
const ROW_INFORMATION: u32 = 5u + 2u * H;
const ROW_LEN: u32 = 5u + 2u * H + HH;
