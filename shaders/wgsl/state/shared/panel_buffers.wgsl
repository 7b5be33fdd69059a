// Shared parts of the kernels of a blocked factorisation.
#import <consts>
#import "state/shared/square.wgsl"
#import "lib/panel.wgsl"

@group(0) @binding(1) var<storage, read> matrix: array<f32>; // matrix[C,SQUARES], lower, row-major
@group(0) @binding(2) var<storage, read_write> w: array<f32>; // w[C,SQUARES], lower, row-major
@group(0) @binding(3) var<storage, read_write> l: array<f32>; // l[C,SQUARES], lower, row-major
@group(0) @binding(4) var<storage, read_write> scale: array<f32>; // scale[C,P], 1/√M_ii
@group(0) @binding(5) var<storage, read_write> block: array<f32>; // block[C,COUNT,32,32], inverse of the diagonal block's factor
@group(0) @binding(6) var<storage, read_write> failed: array<u32>; // failed[C,COUNT], 1 + failing pivot, 0 if none
@group(0) @binding(8) var<storage, read_write> strip: array<f32>; // strip[C,COUNT,ORDER,32], a panel's column below and its row, before the products

const B32 = 32u;
