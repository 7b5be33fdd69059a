//! Scores, weights and their derivatives against finite differences and sums over labels.
use super::*;
use crate::differences::{slope, slopes};

const STEP: f64 = 1e-5;

fn all() -> Vec<Likelihood> {
    vec![
        Likelihood::Gaussian { scale: 1.3 },
        Likelihood::GaussianUnknownScale,
        Likelihood::Binomial(Link::Logit),
        Likelihood::Binomial(Link::Probit),
        Likelihood::Binomial(Link::Cloglog),
        Likelihood::Poisson,
        Likelihood::Softmax {
            classes: 4,
            baseline: false,
        },
        Likelihood::Softmax {
            classes: 4,
            baseline: true,
        },
    ]
}

fn points(h: usize) -> Vec<Vec<f64>> {
    (0..12)
        .map(|i| {
            (0..h)
                .map(|k| 2.7 * ((i * 7 + k * 3) as f64).sin() - 0.2)
                .collect()
        })
        .collect()
}

fn observed(l: &Likelihood, i: usize) -> Observed<f64> {
    match l {
        Likelihood::Binomial(_) => Observed {
            y: (i % 6) as f64,
            trials: 5.0,
        },
        Likelihood::Softmax { classes, .. } => Observed {
            y: (i % classes) as f64,
            trials: 1.0,
        },
        _ => Observed {
            y: (i % 5) as f64,
            trials: 1.0,
        },
    }
}

#[test]
fn scores_are_derivatives_of_the_log_likelihood() {
    for l in all() {
        let h = l.outputs();
        for (i, eta) in points(h).into_iter().enumerate() {
            let obs = observed(&l, i);
            let (mut s, mut spare) = (vec![0.0; h], vec![0.0; h]);
            l.log_lik_and_score(&eta, obs, &mut s);
            for k in 0..h {
                let mut moved = eta.clone();
                let along = |x| {
                    moved[k] = x;
                    l.log_lik_and_score(&moved, obs, &mut spare)
                };
                let fd = slope(along, eta[k], STEP);
                assert!(
                    (fd - s[k]).abs() < 1e-6 * (1.0 + fd.abs()),
                    "{l:?} {eta:?} {fd} {}",
                    s[k]
                );
            }
        }
    }
}

/// Σ over every label of p(y)·s·sᵀ for the discrete likelihoods; the mean of the negative second derivative else.
#[test]
fn fisher_is_the_expectation_over_the_models_labels() {
    for l in all() {
        let (labels, t): (Vec<f64>, f64) = match l {
            Likelihood::Binomial(_) => ((0..=5).map(f64::from).collect(), 5.0),
            Likelihood::Softmax { classes, .. } => ((0..classes).map(|c| c as f64).collect(), 1.0),
            Likelihood::Poisson => ((0..120).map(f64::from).collect(), 1.0),
            _ => continue,
        };
        let h = l.outputs();
        for eta in points(h) {
            let mut w = vec![0.0; h * (h + 1) / 2];
            l.fisher(&eta, t, &mut w);
            let mut sum = vec![0.0; w.len()];
            let mut total = 0.0;
            for &y in &labels {
                let obs = Observed { y, trials: t };
                let mut s = vec![0.0; h];
                let p = (l.log_lik_and_score(&eta, obs, &mut s) + l.log_norm(obs)).exp();
                total += p;
                for k in 0..h {
                    for j in 0..=k {
                        sum[packed(k, j)] += p * s[k] * s[j];
                    }
                }
            }
            assert!((total - 1.0).abs() < 1e-9, "{l:?} {total}");
            for (a, b) in sum.iter().zip(&w) {
                assert!(
                    (a - b).abs() < 1e-8 * (1.0 + b.abs()),
                    "{l:?} {eta:?} {a} {b}"
                );
            }
        }
    }
}

#[test]
fn contraction_matches_finite_differences_of_the_weights() {
    for l in all() {
        let h = l.outputs();
        let hh = h * (h + 1) / 2;
        for eta in points(h) {
            let lever: Vec<f64> = (0..hh).map(|i| 0.3 + (i as f64).cos()).collect();
            let (mut v, mut d) = (vec![0.0; h], vec![0.0; h]);
            l.contract(&eta, 5.0, &lever, &mut v, &mut d);
            let mut dw: Vec<Vec<f64>> = Vec::new();
            let fisher = |e: &[f64], w: &mut [f64]| l.fisher(e, 5.0, w);
            let mut room = vec![0.0; h + 2 * hh];
            slopes(
                fisher,
                &eta,
                |_| STEP,
                &mut room,
                |_, w| dw.push(w.to_vec()),
            );
            for m in 0..h {
                let (mut fv, mut fd) = (0.0, 0.0);
                for k in 0..h {
                    for n in 0..h {
                        fv += dw[m][packed(k, n)] * lever[packed(k, n)];
                        fd += dw[n][packed(m, k)] * lever[packed(k, n)];
                    }
                }
                assert!(
                    (fv - v[m]).abs() < 1e-6 * (1.0 + fv.abs()),
                    "{l:?} volume {fv} {}",
                    v[m]
                );
                assert!(
                    (fd - d[m]).abs() < 1e-6 * (1.0 + fd.abs()),
                    "{l:?} div {fd} {}",
                    d[m]
                );
            }
        }
    }
}

#[test]
fn far_tails_stay_finite_in_f32() {
    for l in all() {
        let h = l.outputs();
        for x in [-60.0f32, -30.0, 30.0, 60.0] {
            if matches!(l, Likelihood::Poisson | Likelihood::GaussianUnknownScale) && x.abs() > 30.0
            {
                continue;
            }
            let eta = vec![x; h];
            let mut s = vec![0.0f32; h];
            let mut w = vec![0.0f32; h * (h + 1) / 2];
            for y in [0.0f32, 1.0] {
                let ll = l.log_lik_and_score(&eta, Observed { y, trials: 1.0 }, &mut s);
                l.fisher(&eta, 1.0, &mut w);
                // A Bernoulli cloglog mean of one leaves no chance of a failure: −e^η is its true log-likelihood.
                assert!(
                    !ll.is_nan() && s.iter().chain(&w).all(|v| v.is_finite()),
                    "{l:?} {x} {y}: {ll} {s:?} {w:?}"
                );
            }
        }
    }
}

/// ln(1 − exp(−e)) ≈ −exp(−e) for large e, where the form by expm1 loses every digit.
#[test]
fn the_cloglog_of_a_sure_success_keeps_its_digits() {
    let l = Likelihood::Binomial(Link::Cloglog);
    for eta in [2.5f64, 3.3, 3.5] {
        let tail = (-eta.exp()).exp();
        let ll = l.log_lik_and_score(
            &[eta],
            Observed {
                y: 1.0,
                trials: 1.0,
            },
            &mut [0.0],
        );
        let series = -tail - 0.5 * tail * tail - tail * tail * tail / 3.0;
        assert!((ll / series - 1.0).abs() < 1e-10, "{eta}: {ll} {series}");
    }
}

#[test]
fn links_are_undone_by_the_mean() {
    for link in [Link::Logit, Link::Probit, Link::Cloglog] {
        for mu in [1e-7, 0.3, 0.5, 0.975] {
            let eta = link.of_mean(mu);
            let mean = Likelihood::Binomial(link).mean(&[eta], 1.0).unwrap();
            assert!((mean / mu - 1.0).abs() < 1e-6, "{link:?} {mu} {mean}");
        }
    }
}
