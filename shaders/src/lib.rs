//! The WGSL kernels of sngd and the linker that composes them
