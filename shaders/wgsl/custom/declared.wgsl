// The declarations that a user's functions are held against.
#import <model>

fn declared_log_lik(eta: array<f32, H>, obs: vec2<f32>) -> f32 {
    return 0.0;
}

fn declared_score(eta: array<f32, H>, obs: vec2<f32>) -> array<f32, H> {
    return eta;
}

fn declared_fisher(eta: array<f32, H>, trials: f32) -> array<f32, HH> {
    return array<f32, HH>();
}

fn declared_contract(eta: array<f32, H>, trials: f32, h: array<f32, HH>) -> Contraction {
    return Contraction();
}

fn declared_draw_label(eta: array<f32, H>, trials: f32, u: f32, z: f32, address: vec4<u32>, key: vec2<u32>) -> f32 {
    return 0.0;
}
