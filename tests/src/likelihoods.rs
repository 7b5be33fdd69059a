//! User-defined likelihoods as a user would write them: the Rust bodies of `examples/likelihoods/`, and their WGSL texts.

use sngd_core::likelihood::{Custom, LikelihoodBody, Observed, WgslBody};
use statrs::function::gamma::{digamma, ln_gamma};
use std::sync::Arc;

/// The Rust body of `negative_binomial.wgsl`.
#[derive(Debug)]
pub struct NegativeBinomial;

impl LikelihoodBody for NegativeBinomial {
    fn log_lik(&self, eta: &[f64], obs: Observed<f64>) -> f64 {
        let (phi, y) = (eta[1].exp(), obs.y);
        let ln_sum = (eta[0].exp() + phi).ln();
        ln_gamma(y + phi) - ln_gamma(phi) - ln_gamma(y + 1.0)
            + phi * (eta[1] - ln_sum)
            + y * (eta[0] - ln_sum)
    }

    fn score(&self, eta: &[f64], obs: Observed<f64>, score: &mut [f64]) {
        let (mu, phi, y) = (eta[0].exp(), eta[1].exp(), obs.y);
        score[0] = phi * (y - mu) / (mu + phi);
        let slope = digamma(y + phi) - digamma(phi) + eta[1] + 1.0 - (mu + phi).ln();
        score[1] = phi * (slope - (y + phi) / (mu + phi));
    }

    fn fisher(&self, eta: &[f64], _: f64, w: &mut [f64]) {
        let (mu, phi) = (eta[0].exp(), eta[1].exp());
        let share = mu / (mu + phi);
        w.copy_from_slice(&[phi * share, 0.0, 0.5 * share * share]);
    }
}

/// The Rust body of `student_t.wgsl`, four degrees of freedom.
#[derive(Debug)]
pub struct StudentT;

const NU: f64 = 4.0;

impl LikelihoodBody for StudentT {
    fn log_lik(&self, eta: &[f64], obs: Observed<f64>) -> f64 {
        let r = (obs.y - eta[0]) * (-eta[1]).exp();
        let norm = ln_gamma(0.5 * (NU + 1.0))
            - ln_gamma(0.5 * NU)
            - 0.5 * (NU * std::f64::consts::PI).ln();
        norm - eta[1] - 0.5 * (NU + 1.0) * (r * r / NU).ln_1p()
    }

    fn score(&self, eta: &[f64], obs: Observed<f64>, score: &mut [f64]) {
        let inverse = (-eta[1]).exp();
        let r = (obs.y - eta[0]) * inverse;
        let pull = (NU + 1.0) * r / (NU + r * r);
        score.copy_from_slice(&[pull * inverse, pull * r - 1.0]);
    }

    fn fisher(&self, eta: &[f64], _: f64, w: &mut [f64]) {
        let share = (NU + 1.0) / (NU + 3.0);
        w.copy_from_slice(&[share * (-2.0 * eta[1]).exp(), 0.0, 2.0 * NU / (NU + 3.0)]);
    }

    fn contract(&self, eta: &[f64], _: f64, h: &[f64], volume: &mut [f64], divergence: &mut [f64]) {
        let slope = -2.0 * (NU + 1.0) / (NU + 3.0) * (-2.0 * eta[1]).exp();
        volume.copy_from_slice(&[0.0, slope * h[0]]);
        divergence.copy_from_slice(&[slope * h[1], 0.0]);
    }

    fn draw_label(
        &self,
        eta: &[f64],
        _: f64,
        u: f64,
        z: f64,
        more: &mut dyn FnMut() -> f64,
    ) -> Option<f64> {
        let chi = -2.0 * (u * more()).ln();
        Some(eta[0] + eta[1].exp() * z * (NU / chi).sqrt())
    }

    fn mean(&self, eta: &[f64], _: f64) -> Option<f64> {
        Some(eta[0])
    }

    fn cdf(&self, eta: &[f64], obs: Observed<f64>) -> Option<f64> {
        let r = (obs.y - eta[0]) * (-eta[1]).exp();
        let s = r / (0.25 * r).mul_add(r, 1.0).sqrt();
        Some(0.5 + 0.375 * s * (1.0 - s * s / 12.0))
    }
}

/// The Rust body of `weibull.wgsl`; the companion is 1 if the event was seen.
#[derive(Debug)]
pub struct Weibull;

impl LikelihoodBody for Weibull {
    fn log_lik(&self, eta: &[f64], obs: Observed<f64>) -> f64 {
        let w = eta[1].exp() * (obs.y.ln() - eta[0]);
        obs.trials * (eta[1] + w - obs.y.ln()) - w.exp()
    }

    fn score(&self, eta: &[f64], obs: Observed<f64>, score: &mut [f64]) {
        let k = eta[1].exp();
        let w = k * (obs.y.ln() - eta[0]);
        let z = w.exp();
        score[0] = k * (z - obs.trials);
        score[1] = obs.trials * (1.0 + w) - z * w;
    }

    fn fisher(&self, eta: &[f64], seen: f64, w: &mut [f64]) {
        let k = eta[1].exp();
        let rest = 1.0 - 0.577_215_664_901_532_9;
        w.copy_from_slice(&[
            seen * k * k,
            -seen * k * rest,
            seen * (rest * rest + std::f64::consts::PI.powi(2) / 6.0),
        ]);
    }
}

/// The WGSL text of an example.
pub fn wgsl(name: &str) -> WgslBody {
    let text = match name {
        "negative_binomial" => include_str!("../../examples/likelihoods/negative_binomial.wgsl"),
        "student_t" => include_str!("../../examples/likelihoods/student_t.wgsl"),
        _ => include_str!("../../examples/likelihoods/weibull.wgsl"),
    };
    WgslBody {
        file: format!("{name}.wgsl"),
        text: text.into(),
    }
}

/// One of the three likelihoods, with both bodies.
pub fn custom(name: &str) -> Custom {
    let (body, auxiliary): (Arc<dyn LikelihoodBody>, _) = match name {
        "negative_binomial" => (Arc::new(NegativeBinomial), "size"),
        "student_t" => (Arc::new(StudentT), "scale"),
        _ => (Arc::new(Weibull), "shape"),
    };
    Custom {
        name: name.into(),
        linear_outputs: 1,
        auxiliary: Some(auxiliary.into()),
        body,
        wgsl: Some(wgsl(name)),
    }
}
