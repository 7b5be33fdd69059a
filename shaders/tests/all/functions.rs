//! Elementary functions and priors on the device, compared with f64.

use crate::common::{error, gpu};
use sngd_core::prior::{Prior, ScalePrior};
use sngd_core::real::Real;
use sngd_shaders::Code;

#[test]
fn elementary_functions_keep_single_precision() {
    let Some(gpu) = gpu() else { return };
    let mut input: Vec<f32> = Vec::new();
    for i in 0..2000 {
        let x = 1.013_f32.powi(i - 1600); // 1e-9 to 170
        input.extend([x, -x]);
    }
    input.extend([
        0.292_893, -0.292_893, 0.414_213, 0.414_214, 0.346, 0.347, -0.346, -0.347, 1.0, -1.0,
    ]);
    let n = input.len();
    let wgsl = include_str!("../wgsl/functions.wgsl");
    let out: Vec<f32> = gpu.run(wgsl, None, n, &input, 6 * n);
    let mut worst = [0.0f64; 5];
    for (&x, found) in input.iter().zip(out.chunks(6)) {
        let wide = f64::from(x);
        let mut check = |f: usize, truth: f64, relative: f64| {
            let e = error(found[f], truth, relative, 0.0);
            assert!(
                e <= 1.0,
                "function {f} at {x}: {} but {truth} expected",
                found[f]
            );
            worst[f] = worst[f].max(e * relative);
        };
        if x.abs() < 87.0 {
            check(0, wide.exp(), 4e-7);
            check(1, wide.exp_m1(), 4e-7);
        }
        check(2, wide.abs().ln(), 4e-7);
        check(3, f64::from(x.max(-0.999)).ln_1p(), 4e-7);
        check(4, f64::erfcx(wide.abs()), 1e-6);
        assert_eq!(found[5], 1.0);
    }
    println!("exp, expm1, ln, ln1p, erfcx: worst relative errors {worst:?}");
}

#[test]
fn gamma_and_its_derivatives_keep_single_precision() {
    use statrs::function::gamma::{digamma, ln_gamma};
    let Some(gpu) = gpu() else { return };
    let input: Vec<f32> = (0..1500).map(|i| 1.013_f32.powi(i - 700)).collect(); // 1e-4 to 3e4
    let n = input.len();
    let out: Vec<f32> = gpu.run(include_str!("../wgsl/gamma.wgsl"), None, n, &input, 3 * n);
    let mut worst = [0.0f64; 3];
    for (&x, found) in input.iter().zip(out.chunks(3)) {
        let x = f64::from(x);
        // ψ′ by numerical differentiation of the ψ above.
        let h = 1e-3 * x;
        let d = |k: f64| digamma(x + k * h);
        let slope = (d(-2.0) - 8.0 * d(-1.0) + 8.0 * d(1.0) - d(2.0)) / (12.0 * h);
        // ln Γ and ψ have zeros, where errors are relative to the size of their terms.
        let (ln, psi) = (ln_gamma(x), digamma(x));
        let terms = 1.0 + x.ln().abs() * (1.0 + x.min(6.0));
        for (f, (truth, size)) in [
            (ln, ln.abs().max(terms)),
            (psi, psi.abs().max(terms)),
            (slope, slope),
        ]
        .into_iter()
        .enumerate()
        {
            let e = (f64::from(found[f]) - truth).abs() / size;
            assert!(e < 1e-6, "function {f} at {x}: {}, but {truth}", found[f]);
            worst[f] = worst[f].max(e);
        }
    }
    println!("ln gamma, digamma, trigamma: worst relative errors {worst:?}");
}

#[test]
fn range_ends_are_met_on_bits() {
    let Some(gpu) = gpu() else { return };
    let input = [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MAX,
        -500.0,
        500.0,
        0.0,
    ];
    let n = input.len();
    let wgsl = include_str!("../wgsl/functions.wgsl");
    let out: Vec<f32> = gpu.run(wgsl, None, n, &input, 6 * n);
    let column = |f: usize| out.iter().skip(f).step_by(6).copied().collect::<Vec<_>>();
    assert_eq!(column(5), [2.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
    assert_eq!(
        column(0)[2..],
        [0.0, f32::INFINITY, 0.0, f32::INFINITY, 1.0]
    );
    assert_eq!(column(1)[4], -1.0);
    assert_eq!(column(1)[6], 0.0);
}

#[test]
fn priors_are_those_of_core() {
    let Some(gpu) = gpu() else { return };
    let mut input: Vec<[f32; 5]> = Vec::new();
    let mut expected: Vec<((f64, f64), f64)> = Vec::new();
    let at = |(kind, [nu, m, s]): (u32, [f64; 3]), x: f32| {
        [kind as f32, nu as f32, m as f32, s as f32, x]
    };
    let places: Vec<f32> = (-400i32..=400)
        .map(|i| 0.01 * i as f32 * i.abs() as f32 / 40.0)
        .collect();
    for p in [
        Prior::Flat,
        Prior::Normal(1.0, 2.0),
        Prior::StudentT(3.0, -1.0, 0.5),
        Prior::StudentT(1000.0, 0.25, 8.0),
        Prior::Cauchy(0.0, 2.5),
        Prior::Laplace(1.0, 3.0),
    ] {
        for &x in &places {
            input.push(at((p.code(), p.arguments()), x));
            expected.push((p.cost(f64::from(x)), 0.0));
        }
    }
    for p in [
        ScalePrior::Flat,
        ScalePrior::HalfNormal(0.5, 2.0),
        ScalePrior::HalfCauchy(0.0, 2.5),
        ScalePrior::HalfCauchy(1.0, 0.125),
        ScalePrior::Exponential(0.25),
        ScalePrior::InvGamma(2.0, 3.0),
    ] {
        for &x in places.iter().filter(|x| x.abs() < 15.0) {
            let u = f64::from(x);
            // Terms that cancel: σ − m in r, and (a + 1)u against b/σ.
            let scale = match p {
                ScalePrior::InvGamma(a, b) => (a + 1.0) * (1.0 + u.abs()) + b * (-u).exp(),
                ScalePrior::HalfNormal(m, s) | ScalePrior::HalfCauchy(m, s) => {
                    let (r, size) = ((u.exp() - m) / s, (u.exp() + m) / s);
                    if r.abs() < 1.0 {
                        size * (1.0 + size)
                    } else {
                        0.0
                    }
                }
                _ => 0.0,
            };
            input.push(at((p.code(), p.arguments()), x));
            expected.push((p.cost(u), scale));
        }
    }
    let n = input.len();
    let wgsl = include_str!("../wgsl/prior.wgsl");
    let out: Vec<f32> = gpu.run(wgsl, None, n, input.as_flattened(), 2 * n);
    let mut worst = 0.0f64;
    for ((i, &((cost, grad), scale)), found) in input.iter().zip(&expected).zip(out.chunks(2)) {
        for (f, truth) in [(found[0], cost), (found[1], grad)] {
            let e = error(f, truth, 4e-6, scale);
            assert!(e <= 1.0, "{i:?}: {f}, expected {truth}");
            worst = worst.max(e);
        }
    }
    println!("priors: worst {:.1e}", worst * 4e-6);
}
