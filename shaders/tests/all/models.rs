//! Every model file on the device, tails included, compared with core's f64.

use crate::common::{error, gpu};
use sngd_core::likelihood::{Likelihood, Link, Observed, packed};
use sngd_core::philox::{Stream, at, normals_f64, uniform};
use sngd_shaders::ModelSource;

/// Each likelihood, with the largest |η| in the test.
fn cases() -> Vec<(Likelihood, f32)> {
    let softmax = |classes, baseline| Likelihood::Softmax { classes, baseline };
    vec![
        (Likelihood::Gaussian { scale: 0.37 }, 50.0),
        (Likelihood::GaussianUnknownScale, 12.0),
        (Likelihood::Binomial(Link::Logit), 80.0),
        (Likelihood::Binomial(Link::Probit), 12.0),
        (Likelihood::Binomial(Link::Cloglog), 60.0),
        (Likelihood::Poisson, 30.0),
        (softmax(2, true), 40.0),
        (softmax(3, false), 40.0),
        (softmax(6, true), 20.0),
    ]
}

/// η `[H]` at place i of n: a fine grid in the first output, irregular values in the others.
fn eta_at(l: &Likelihood, reach: f32, i: usize, n: usize) -> Vec<f32> {
    let x = 2.0 * i as f32 / (n - 1) as f32 - 1.0;
    (0..l.outputs())
        .map(|k| match k {
            0 => reach * x * x.abs(),
            _ => reach * 0.7 * ((i * (k + 2)) as f32 * 0.37).sin(),
        })
        .collect()
}

fn labels(l: &Likelihood) -> Vec<Observed<f64>> {
    let of = |y: f64, trials: f64| Observed { y, trials };
    match l {
        Likelihood::Binomial(_) => {
            vec![of(0.0, 1.0), of(1.0, 1.0), of(3.0, 5.0), of(200.0, 200.0)]
        }
        Likelihood::Softmax { classes, .. } => (0..*classes).map(|c| of(c as f64, 1.0)).collect(),
        Likelihood::Poisson => vec![of(0.0, 1.0), of(1.0, 1.0), of(400.0, 1.0)],
        _ => vec![of(0.25, 1.0), of(-7.5, 1.0)],
    }
}

/// log_lik, score, fisher, volume, divergence, mean and cdf (0 where there is none) in f64, each with the size of the terms that may cancel in it.
fn truth(l: &Likelihood, eta: &[f64], obs: Observed<f64>, lever: &[f64]) -> Vec<(f64, f64)> {
    let h = l.outputs();
    let hh = lever.len();
    let (y, t) = (obs.y, obs.trials);
    let (mut s, mut w) = (vec![0.0; h], vec![0.0; hh]);
    let (mut v, mut d) = (vec![0.0; h], vec![0.0; h]);
    let mut ll = l.log_lik_and_score(eta, obs, &mut s);
    l.fisher(eta, t, &mut w);
    l.contract(eta, t, lever, &mut v, &mut d);
    // Sizes: log_lik, score, fisher, contraction.
    let (mut of_ll, mut of_s, mut of_w, mut of_c) =
        (0.0, vec![0.0; h], vec![0.0; hh], vec![0.0; h]);
    match *l {
        Likelihood::Gaussian { .. } => {}
        Likelihood::GaussianUnknownScale => {
            let r2 = s[1] + 1.0;
            of_ll = eta[1].abs() + r2;
            of_s[1] = r2 + 1.0;
        }
        Likelihood::Binomial(link) => {
            // Successes and failures are separate terms; their sum may cancel.
            let mut one = [0.0];
            let mut part = |y: f64| {
                let ll = l.log_lik_and_score(eta, Observed { y, trials: 1.0 }, &mut one);
                (ll, one[0])
            };
            let ((ll1, s1), (ll0, s0)) = (part(1.0), part(0.0));
            of_ll = y * ll1.abs() + (t - y) * ll0.abs();
            of_s[0] = y * s1.abs() + (t - y) * s0.abs();
            let x = eta[0];
            match link {
                Link::Logit => {
                    // Core's y·η − t·softplus and y − t·μ cancel in f64 already.
                    ll = -y * (-x).exp().ln_1p() - (t - y) * x.exp().ln_1p();
                    s[0] = y / (1.0 + x.exp()) - (t - y) / (1.0 + (-x).exp());
                    (of_ll, of_s[0]) = (0.0, if y == 0.0 || y == t { 0.0 } else { t });
                    v[0] = -w[0] * (0.5 * x).tanh() * lever[0];
                    d[0] = v[0];
                }
                Link::Probit => {
                    of_c[0] = w[0] * lever[0].abs() * (s1.abs() + s0.abs() + 2.0 * x.abs())
                }
                Link::Cloglog => {
                    // Core's ln(1 − e^−e) cancels for large e.
                    let e = x.exp();
                    let ln_mean = if e < 0.7 {
                        (-(-e).exp_m1()).ln()
                    } else {
                        (-(-e).exp()).ln_1p()
                    };
                    ll = if y > 0.0 { y * ln_mean } else { 0.0 };
                    ll -= if y < t { (t - y) * e } else { 0.0 };
                    of_ll = 0.0;
                    of_c[0] = w[0] * lever[0].abs() * (2.0 + e);
                }
            }
        }
        Likelihood::Custom(_) => unreachable!("no case is a user's own"),
        Likelihood::Poisson => {
            of_ll = (y * eta[0]).abs() + eta[0].exp();
            of_s[0] = y + eta[0].exp();
        }
        Likelihood::Softmax { baseline, .. } => {
            let start = if baseline { 0.0 } else { f64::NEG_INFINITY };
            let max = eta.iter().fold(start, |m: f64, &e| m.max(e));
            let sum = eta.iter().map(|e| (e - max).exp()).sum::<f64>()
                + if baseline { (-max).exp() } else { 0.0 };
            let p: Vec<f64> = eta.iter().map(|e| (e - max).exp() / sum).collect();
            of_ll = 1.0;
            let f: Vec<f64> = (0..h)
                .map(|c| {
                    let hp: f64 = (0..h).map(|m| (lever[packed(c, m)] * p[m]).abs()).sum();
                    lever[packed(c, c)].abs() + 2.0 * hp
                })
                .collect();
            let mean: f64 = (0..h).map(|c| p[c] * f[c]).sum();
            for k in 0..h {
                of_s[k] = if s[k] > 0.0 { 1.0 } else { 0.0 };
                of_w[packed(k, k)] = p[k];
                of_c[k] = p[k] * (f[k] + mean);
            }
        }
    }
    let mut out = vec![(ll, of_ll)];
    out.extend(s.into_iter().zip(of_s));
    out.extend(w.into_iter().zip(of_w));
    out.extend(v.into_iter().zip(of_c.clone()));
    out.extend(d.into_iter().zip(of_c));
    out.push((l.mean(eta, t).unwrap_or(0.0), 0.0));
    out.push((l.cdf(eta, obs).unwrap_or(0.0), 1.0));
    out
}

/// Largest relative error of any function of any model. Where terms cancel, 1e-6 of the terms is allowed on top.
const RELATIVE: f64 = 1e-5;

#[test]
fn models_are_those_of_core() {
    let Some(gpu) = gpu() else { return };
    for (l, reach) in cases() {
        let (h, places) = (l.outputs(), 997);
        let hh = h * (h + 1) / 2;
        let lever: Vec<f32> = (0..hh).map(|i| 0.3 + (i as f32).cos()).collect();
        let mut input: Vec<f32> = Vec::new();
        let mut expected = Vec::new();
        let mut etas: Vec<Vec<f32>> = (0..places).map(|i| eta_at(&l, reach, i, places)).collect();
        if matches!(l, Likelihood::Binomial(_)) {
            etas.push(vec![-200.0]); // beyond the range of exp
        }
        for eta in etas {
            let wide: Vec<f64> = eta.iter().map(|&e| f64::from(e)).collect();
            let wide_lever: Vec<f64> = lever.iter().map(|&e| f64::from(e)).collect();
            for obs in labels(&l) {
                input.extend(&eta);
                input.extend([obs.y as f32, obs.trials as f32]);
                input.extend(&lever);
                expected.push((wide.clone(), obs, truth(&l, &wide, obs, &wide_lever)));
            }
        }
        let (n, width) = (expected.len(), 3 + 3 * h + hh);
        let model = ModelSource::Builtin(l.clone());
        let wgsl = include_str!("../wgsl/model.wgsl");
        let out: Vec<f32> = gpu.run(wgsl, Some(&model), n, &input, n * width);
        let mut worst = 0.0f64;
        for (found, (eta, obs, truth)) in out.chunks(width).zip(&expected) {
            for (i, (&f, &(t, scale))) in found.iter().zip(truth).enumerate() {
                let e = error(f, t, RELATIVE, scale);
                assert!(
                    e <= 1.0,
                    "{l:?}, number {i} at eta = {eta:?}, {obs:?}: {f:e}, expected {t:e} (terms of {scale:e})"
                );
                worst = worst.max(e);
            }
        }
        println!("{}: worst {worst:.2} of the bound", model.name());
    }
}

/// A label is between the two that core draws from the same uniforms, shifted down and up by the rounding of f32.
#[test]
fn labels_are_those_of_core() {
    let Some(gpu) = gpu() else { return };
    for (l, reach) in cases() {
        let n = 20_000;
        let reach = match l {
            Likelihood::Poisson => 7.0,
            _ => reach.min(8.0),
        };
        let all: Vec<Vec<f32>> = (0..n).map(|i| eta_at(&l, reach, i, n)).collect();
        let trials = |i: usize| match l {
            Likelihood::Binomial(_) => [1.0f32, 5.0, 64.0, 300.0][i % 4],
            _ => 1.0,
        };
        let input: Vec<f32> = (0..n)
            .flat_map(|i| all[i].iter().copied().chain([trials(i)]))
            .collect();
        let model = ModelSource::Builtin(l.clone());
        let wgsl = include_str!("../wgsl/label.wgsl");
        let found: Vec<f32> = gpu.run(wgsl, Some(&model), n, &input, n);
        for i in 0..n {
            let eta: Vec<f64> = all[i].iter().map(|&e| f64::from(e)).collect();
            let bits = at(5, Stream::Label, 2, 17, i as u32);
            let z = normals_f64([bits[2], bits[3], bits[2], bits[3]])[0];
            let drawn = |shift: f64| -> f64 {
                let mut m = 0;
                let more = || {
                    let b = at(5, Stream::Label, 2 ^ 0x8000_0000, 17, i as u32 * 64 + m);
                    m += 1;
                    uniform(b[0]) + shift
                };
                let u = (uniform(bits[0]) + shift).clamp(1e-12, 1.0 - 1e-9);
                l.draw_label(&eta, f64::from(trials(i)), u, z, more)
            };
            let (a, b) = (drawn(-4e-6), drawn(4e-6));
            let y = f64::from(found[i]);
            // Real-valued labels have rounding errors; counts and classes do not.
            let slack = if a.fract() == 0.0 && b.fract() == 0.0 {
                0.0
            } else {
                1e-5 * (1.0 + y.abs())
            };
            assert!(
                y >= a.min(b) - slack && y <= a.max(b) + slack,
                "{l:?} {i}: {y}, expected {a} to {b} at eta = {eta:?}, trials {}",
                trials(i)
            );
        }
    }
}
