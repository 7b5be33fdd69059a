//! The native engine of sngd, generic over f32 and f64
