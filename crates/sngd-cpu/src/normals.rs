//! Standard normals by the widest vectors that the machine has; bit for bit those of `sngd_core::normals::fill_normals`.

use crate::scalar::Scalar;
use pulp::{Simd, WithSimd};
use sngd_core::philox::Stream;

/// Same as [`sngd_core::normals::fill_normals`].
pub fn fill_normals<T: Scalar>(out: &mut [T], seed: u64, stream: Stream, chain: u32, step: u32) {
    pulp::Arch::new().dispatch(Fill {
        out,
        seed,
        stream,
        chain,
        step,
    });
}

struct Fill<'a, T> {
    out: &'a mut [T],
    seed: u64,
    stream: Stream,
    chain: u32,
    step: u32,
}

impl<T: Scalar> WithSimd for Fill<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        sngd_core::normals::fill_normals(self.out, self.seed, self.stream, self.chain, self.step);
    }
}
