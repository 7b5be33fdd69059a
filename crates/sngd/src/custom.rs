//! User-defined likelihoods, read from a run file.

mod check;
mod responses;

pub(crate) use check::check_problem;
pub use check::{Finding, Piece, check_likelihood};

use crate::error::Error;
use sngd_core::config::{Config, Family};
use sngd_core::likelihood::{Custom, WgslBody, check_shape};
use sngd_shaders::Interpreted;
use std::path::Path;
use std::sync::Arc;

/// Reads the WGSL file that `[model]` names; its path is relative to `base`.
pub(crate) fn load(config: &mut Config, base: &Path) -> Result<(), Error> {
    let m = &mut config.model;
    let (Family::Custom, Some(file)) = (m.likelihood, &m.wgsl) else {
        return Ok(());
    };
    let path = base.join(file);
    let text = std::fs::read_to_string(&path).map_err(|e| {
        Error::Input(format!(
            "model.wgsl: found \"{}\", which cannot be read ({e}), expected a WGSL file; check the path",
            path.display()
        ))
    })?;
    let body = WgslBody {
        file: path.display().to_string(),
        text,
    };
    let custom = from_wgsl(body, m.outputs.unwrap_or(1), m.auxiliary.clone())?;
    m.custom = Some(Arc::new(custom));
    Ok(())
}

/// A likelihood whose only body is a WGSL text: the GPU engine compiles it; the CPU side interprets it, slowly.
///
/// # Errors
/// [`Error::Input`]: what is wrong with the text, by file and line.
///
/// A body in Rust, instead of the text or together with one:
///
/// ```
/// #[derive(Debug)]
/// struct Exponential; // waiting times, ln p = η − y·e^η
///
/// impl sngd::LikelihoodBody for Exponential {
///     fn log_lik(&self, eta: &[f64], obs: sngd::Observed<f64>) -> f64 {
///         eta[0] - obs.y * eta[0].exp()
///     }
///     fn score(&self, eta: &[f64], obs: sngd::Observed<f64>, score: &mut [f64]) {
///         score[0] = 1.0 - obs.y * eta[0].exp();
///     }
///     fn fisher(&self, _: &[f64], _: f64, w: &mut [f64]) {
///         w[0] = 1.0;
///     }
/// }
///
/// let own = sngd::Custom {
///     name: "exponential".into(),
///     linear_outputs: 1,
///     auxiliary: None,
///     body: std::sync::Arc::new(Exponential),
///     wgsl: None, // the GPU engine would need it
/// };
/// let data = sngd::Data::new(vec![0.1, 0.9, 0.4, 0.7], ["x"], vec![1.2, 0.3, 0.8, 0.5]);
/// let summary = sngd::Sampler::builder(sngd::Model::custom(own), &data)
///     .prior(sngd::Prior::Normal(0.0, 1.0))
///     .prior_intercept(sngd::Prior::Normal(0.0, 1.0))
///     .method(sngd::Mala::default().step_size(0.5))
///     .device(sngd::Device::Cpu)
///     .build()?
///     .sample(sngd::Warmup(100), sngd::Draws(200))?
///     .summary();
/// assert_eq!(summary.rows.len(), 2);
/// # Ok::<(), sngd::Error>(())
/// ```
pub fn from_wgsl(
    body: WgslBody,
    linear_outputs: usize,
    auxiliary: Option<String>,
) -> Result<Custom, Error> {
    check_shape(linear_outputs, auxiliary.as_deref())?;
    let outputs = linear_outputs + usize::from(auxiliary.is_some());
    let evaluated = Interpreted::new(&body, outputs, linear_outputs)
        .map_err(|e| Error::Input(e.to_string()))?;
    Ok(Custom {
        name: body.file.clone(),
        linear_outputs,
        auxiliary,
        body: Arc::new(evaluated),
        wgsl: Some(body),
    })
}
