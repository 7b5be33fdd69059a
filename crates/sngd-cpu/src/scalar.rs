//! The number formats of the engine.

use crate::mode::lanes::LaneKernels;
use sngd_core::real::Real;

/// A `Real` for which the dense algebra and the mode kernels exist.
pub trait Scalar: Real + faer::traits::RealField + LaneKernels {}
impl Scalar for f32 {}
impl Scalar for f64 {}

/// What a row that counts w times adds to a sum: w·v. A row that does not count adds nothing, whatever v is there.
#[inline]
pub fn counted<T: Scalar>(w: T, v: T) -> T {
    if w == T::zero() { T::zero() } else { w * v }
}
