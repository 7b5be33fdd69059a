//! The wgpu engine of sngd
