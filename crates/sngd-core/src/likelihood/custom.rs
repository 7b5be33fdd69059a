//! A user-defined likelihood: a body in Rust for the CPU, one in WGSL for the GPU engine.

use super::family::Family;
use super::row::Observed;
use crate::differences;
use crate::error::CheckError;
use crate::real::Real;
use std::fmt::Debug;
use std::sync::Arc;

/// Largest number of outputs of a user-defined likelihood, K + A.
pub const MAX_OUTPUTS: usize = 8;

/// ln p(y|η) and its derivatives at one row, by value, in f64.
///
/// `eta` is the H = K + A outputs: the K linear predictors, then the logarithm of the positive parameter if there is one.
/// `obs.y` is the response; `obs.trials` is the number in the companion column (1 without one). Symmetric `[H,H]` arrays are
/// packed lower, at [`packed`](super::packed)`(k, l)`.
pub trait LikelihoodBody: Debug + Send + Sync {
    /// ln p(y|η) in nats, normalised: log scores need the terms that do not depend on η too.
    fn log_lik(&self, eta: &[f64], obs: Observed<f64>) -> f64;

    /// Writes ∂ ln p/∂η into `score` `[H]`.
    fn score(&self, eta: &[f64], obs: Observed<f64>, score: &mut [f64]);

    /// Writes a symmetric positive semi-definite W(η) into `w` `[H(H+1)/2]`: the Fisher information E[s sᵀ], or a stand-in for it. Any
    /// smooth W gives the same posterior, since the corrections are derivatives of this W; steps are longest when it is near
    /// E[s sᵀ], and with `target = "jeffreys"` it *is* the volume.
    fn fisher(&self, eta: &[f64], companion: f64, w: &mut [f64]);

    /// `volume[m]` = Σ_kl ∂W_kl/∂η_m h_kl and `divergence[k]` = Σ_lm ∂W_kl/∂η_m h_lm. Central differences of `fisher` unless given.
    fn contract(
        &self,
        eta: &[f64],
        companion: f64,
        h: &[f64],
        volume: &mut [f64],
        divergence: &mut [f64],
    ) {
        difference(
            |e, w| self.fisher(e, companion, w),
            eta,
            h,
            volume,
            divergence,
        );
    }

    /// A response drawn from the model: `u` is uniform in (0,1), `z` normal, `more` gives further uniforms. Needed for
    /// `fisher = "monte_carlo"` only; `None` where the likelihood has no such function.
    fn draw_label(
        &self,
        _eta: &[f64],
        _companion: f64,
        _u: f64,
        _z: f64,
        _more: &mut dyn FnMut() -> f64,
    ) -> Option<f64> {
        None
    }

    /// Whether this body evaluates that very WGSL text; then there is no second body to compare.
    fn evaluates(&self, _text: &WgslBody) -> bool {
        false
    }

    /// Why a function could not be evaluated: a sentence for the user. From then on every function gives NaN, until this is
    /// asked. `None` where all were evaluated; a body in Rust always is.
    fn stopped(&self) -> Option<String> {
        None
    }

    /// E[y|η], for the error of predictions; `None` where the likelihood has no such function.
    fn mean(&self, _eta: &[f64], _companion: f64) -> Option<f64> {
        None
    }

    /// P(Y ≤ y|η) of a continuous response, for the coverage of intervals; `None` where the likelihood has no such function.
    fn cdf(&self, _eta: &[f64], _obs: Observed<f64>) -> Option<f64> {
        None
    }
}

/// Contracts ∂W/∂η with h, by central differences with steps of 1e-4.
pub fn difference(
    fisher: impl Fn(&[f64], &mut [f64]),
    eta: &[f64],
    h: &[f64],
    volume: &mut [f64],
    divergence: &mut [f64],
) {
    let n = eta.len();
    let mut room = [0.0; MAX_OUTPUTS * (MAX_OUTPUTS + 2)];
    let room = &mut room[..n * (n + 2)];
    differences::contract(fisher, eta, 1e-4, h, volume, divergence, room);
}

/// The body of a user-defined likelihood in WGSL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WgslBody {
    /// Path of the file, for messages.
    pub file: String,
    /// The WGSL text: `log_lik`, `score` and `fisher`, and optionally `contract`, `draw_label`, `mean` and `cdf`.
    pub text: String,
}

impl WgslBody {
    /// Whether the text declares that function.
    pub fn has(&self, function: &str) -> bool {
        declares(&self.text, function)
    }
}

/// Whether a WGSL text declares that function.
pub fn declares(text: &str, function: &str) -> bool {
    let code = text
        .lines()
        .map(|l| l.split("//").next().unwrap_or_default());
    code.collect::<Vec<_>>().join(" ").split("fn ").any(|rest| {
        rest.trim_start()
            .strip_prefix(function)
            .is_some_and(|r| r.trim_start().starts_with('('))
    })
}

/// A user-defined likelihood.
#[derive(Debug, Clone)]
pub struct Custom {
    /// Name for messages.
    pub name: String,
    /// Number of linear outputs K, 1 or more.
    pub linear_outputs: usize,
    /// Name of the positive parameter whose logarithm is the last output, such as `shape`; `None` where there is none.
    pub auxiliary: Option<String>,
    /// The body for the CPU.
    pub body: Arc<dyn LikelihoodBody>,
    /// The body for the GPU engine, which refuses a run without it.
    pub wgsl: Option<WgslBody>,
}

impl PartialEq for Custom {
    fn eq(&self, other: &Custom) -> bool {
        self.name == other.name
            && self.linear_outputs == other.linear_outputs
            && self.auxiliary == other.auxiliary
            && self.wgsl == other.wgsl
            && Arc::ptr_eq(&self.body, &other.body)
    }
}

/// Checks number of outputs and name of the auxiliary parameter.
///
/// # Errors
/// No outputs or too many of them; a name that another parameter has.
pub fn check_shape(linear_outputs: usize, auxiliary: Option<&str>) -> Result<(), CheckError> {
    if linear_outputs == 0 || linear_outputs + usize::from(auxiliary.is_some()) > MAX_OUTPUTS {
        return Err(CheckError::key(
            "model.outputs",
            format!(
                "found {linear_outputs} linear outputs, expected 1 or more, with the auxiliary parameter at most {MAX_OUTPUTS}"
            ),
        ));
    }
    let taken = ["weights", "intercept", "bias"];
    match auxiliary {
        Some(name) if name.trim().is_empty() || taken.contains(&name) => Err(CheckError::key(
            "model.auxiliary",
            format!(
                "found \"{name}\", expected a name that no other parameter has, such as \"shape\""
            ),
        )),
        _ => Ok(()),
    }
}

/// Outputs η in f64, on the stack: the numbers, and how many of them are used.
struct Outputs([f64; MAX_OUTPUTS], usize);

impl Outputs {
    fn of<T: Real>(eta: &[T]) -> Outputs {
        let mut out = [0.0; MAX_OUTPUTS];
        out.iter_mut().zip(eta).for_each(|(o, e)| *o = e.to64());
        Outputs(out, eta.len())
    }

    fn get(&self) -> &[f64] {
        &self.0[..self.1]
    }
}

fn write<T: Real>(from: &[f64], to: &mut [T]) {
    to.iter_mut().zip(from).for_each(|(t, f)| *t = T::of(*f));
}

impl Custom {
    /// Whether Monte Carlo labels can be drawn.
    pub fn draws_labels(&self) -> bool {
        let eta = vec![0.0; self.linear_outputs + usize::from(self.auxiliary.is_some())];
        let drawn = self.body.draw_label(&eta, 1.0, 0.5, 0.0, &mut || 0.5);
        drawn.is_some() && self.wgsl.as_ref().is_none_or(|w| w.has("draw_label"))
    }
}

/// In any number format, computed in f64.
impl Family for Custom {
    fn linear_outputs(&self) -> usize {
        self.linear_outputs
    }

    fn log_lik_and_score<T: Real>(&self, eta: &[T], obs: Observed<T>, score: &mut [T]) -> T {
        let outputs = Outputs::of(eta);
        let obs = Observed {
            y: obs.y.to64(),
            trials: obs.trials.to64(),
        };
        let mut s = [0.0; MAX_OUTPUTS];
        self.body.score(outputs.get(), obs, &mut s[..eta.len()]);
        write(&s, score);
        T::of(self.body.log_lik(outputs.get(), obs))
    }

    fn fisher<T: Real>(&self, eta: &[T], companion: T, w: &mut [T]) {
        let outputs = Outputs::of(eta);
        let mut out = [0.0; MAX_OUTPUTS * (MAX_OUTPUTS + 1) / 2];
        let out = &mut out[..w.len()];
        self.body.fisher(outputs.get(), companion.to64(), out);
        write(out, w);
    }

    fn contract<T: Real>(
        &self,
        eta: &[T],
        companion: T,
        h: &[T],
        volume: &mut [T],
        divergence: &mut [T],
    ) {
        let outputs = Outputs::of(eta);
        let n = eta.len();
        let mut levers = [0.0; MAX_OUTPUTS * (MAX_OUTPUTS + 1) / 2];
        levers.iter_mut().zip(h).for_each(|(l, h)| *l = h.to64());
        let (mut v, mut d) = ([0.0; MAX_OUTPUTS], [0.0; MAX_OUTPUTS]);
        let h = &levers[..n * (n + 1) / 2];
        self.body
            .contract(outputs.get(), companion.to64(), h, &mut v[..n], &mut d[..n]);
        write(&v, volume);
        write(&d, divergence);
    }

    fn draw_label<T: Real>(
        &self,
        eta: &[T],
        companion: T,
        u: f64,
        z: f64,
        more: &mut dyn FnMut() -> f64,
    ) -> T {
        let outputs = Outputs::of(eta);
        let label = self
            .body
            .draw_label(outputs.get(), companion.to64(), u, z, more);
        // `Plan::check` refuses Monte Carlo labels where the body draws none.
        T::of(label.unwrap_or(f64::NAN))
    }

    /// A user-defined log density leaves out no terms.
    fn log_norm(&self, _: Observed<f64>) -> f64 {
        0.0
    }

    fn mean(&self, eta: &[f64], companion: f64) -> Option<f64> {
        self.body.mean(eta, companion)
    }

    fn cdf(&self, eta: &[f64], obs: Observed<f64>) -> Option<f64> {
        self.body.cdf(eta, obs)
    }
}
