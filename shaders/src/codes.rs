//! Numbers by which kernels know the variants of enums. Each is a constant of every linked module, so that a kernel that asks for a name
//! that no longer exists does not link, and a variant that has no number does not compile.

use sngd_core::config::{Noise, Storage};
use sngd_core::network::Activation;
use sngd_core::philox::Stream;
use sngd_core::prior::{Prior, ScalePrior};
use sngd_core::stat::Stat;
use sngd_core::step::RowRule;

/// An enum whose variants have numbers: the place of their constant in `NAMES`, counted from `FIRST`.
pub trait Code {
    /// Number of the first constant.
    const FIRST: u32 = 0;
    /// Name of the constant of each variant.
    const NAMES: &'static [&'static str];

    /// Name of the constant of this variant.
    fn name(&self) -> &'static str;

    /// Number of this variant.
    fn code(&self) -> u32 {
        let place = Self::NAMES.iter().position(|n| *n == self.name());
        Self::FIRST + place.unwrap_or_default() as u32
    }
}

macro_rules! codes {
    ($type:ty, from $first:literal { $($variant:pat => $name:literal),+ $(,)? }) => {
        impl Code for $type {
            const FIRST: u32 = $first;
            const NAMES: &'static [&'static str] = &[$($name),+];

            fn name(&self) -> &'static str {
                match self {
                    $($variant => $name),+
                }
            }
        }
    };
}

codes!(RowRule, from 0 {
    RowRule::All => "ROWS_ALL",
    RowRule::WithReplacement => "ROWS_WITH_REPLACEMENT",
    RowRule::WithoutReplacement => "ROWS_WITHOUT_REPLACEMENT",
    RowRule::Epochs => "ROWS_EPOCHS",
    RowRule::Sample => "ROWS_SAMPLE",
});

codes!(Noise, from 0 {
    Noise::None => "NOISE_NONE",
    Noise::Full => "NOISE_FULL",
    Noise::Residual => "NOISE_RESIDUAL",
    Noise::Nominal => "NOISE_NOMINAL",
});

codes!(Storage, from 0 {
    Storage::F32 => "STORAGE_F32",
    Storage::F16 => "STORAGE_F16",
    Storage::Bf16 => "STORAGE_BF16",
});

codes!(Activation, from 0 {
    Activation::Tanh => "ACTIVATION_TANH",
    Activation::Relu => "ACTIVATION_RELU",
    Activation::Gelu => "ACTIVATION_GELU",
});

// Cauchy is Student-t with one degree of freedom.
codes!(Prior, from 0 {
    Prior::Flat => "PRIOR_FLAT",
    Prior::Normal(..) => "PRIOR_NORMAL",
    Prior::StudentT(..) | Prior::Cauchy(..) => "PRIOR_STUDENT_T",
    Prior::Laplace(..) => "PRIOR_LAPLACE",
});

codes!(ScalePrior, from 4 {
    ScalePrior::HalfNormal(..) => "PRIOR_HALF_NORMAL",
    ScalePrior::HalfCauchy(..) => "PRIOR_HALF_CAUCHY",
    ScalePrior::Exponential(..) => "PRIOR_EXPONENTIAL",
    ScalePrior::InvGamma(..) => "PRIOR_INV_GAMMA",
    ScalePrior::Flat => "PRIOR_FLAT_SCALE",
});

codes!(Stream, from 0 {
    Stream::Batch => "STREAM_BATCH",
    Stream::Noise => "STREAM_NOISE",
    Stream::Probe => "STREAM_PROBE",
    Stream::Label => "STREAM_LABEL",
    Stream::Init => "STREAM_INIT",
    Stream::FisherRows => "STREAM_FISHER_ROWS",
    Stream::Accept => "STREAM_ACCEPT",
    Stream::Split => "STREAM_SPLIT",
    Stream::PriorNoise => "STREAM_PRIOR_NOISE",
    Stream::Influence => "STREAM_INFLUENCE",
    Stream::Pilot => "STREAM_PILOT",
    Stream::Program => "STREAM_PROGRAM",
});

/// Which numbers of the Fisher information a pass computes for each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weights {
    /// None; s sᵀ of an empirical Fisher matrix is made of the scores.
    None,
    /// W over all labels.
    Exact,
    /// W over drawn labels.
    MonteCarlo,
    /// The diagonal of W over all labels, and its derivative.
    DiagonalExact,
    /// The diagonal of W over drawn labels, and its derivative.
    DiagonalMonteCarlo,
    /// The squares of the scores, and the derivative of W's diagonal.
    DiagonalEmpirical,
    /// √w·s, a root of w·s sᵀ where rows count w times: the scores are then w·s.
    ScoreRoots,
}

codes!(Weights, from 0 {
    Weights::None => "WEIGHTS_NONE",
    Weights::Exact => "WEIGHTS_EXACT",
    Weights::MonteCarlo => "WEIGHTS_MONTE_CARLO",
    Weights::DiagonalExact => "WEIGHTS_DIAGONAL_EXACT",
    Weights::DiagonalMonteCarlo => "WEIGHTS_DIAGONAL_MONTE_CARLO",
    Weights::DiagonalEmpirical => "WEIGHTS_DIAGONAL_EMPIRICAL",
    Weights::ScoreRoots => "WEIGHTS_SCORE_ROOTS",
});

/// A diagonal metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiagonalMetric {
    /// The diagonal of N·F + Λ.
    Fisher,
    /// The identity times the number of observations, N·I.
    Identity,
    /// RMSProp's running mean of squares.
    RmsProp,
}

codes!(DiagonalMetric, from 0 {
    DiagonalMetric::Fisher => "METRIC_FISHER",
    DiagonalMetric::Identity => "METRIC_IDENTITY",
    DiagonalMetric::RmsProp => "METRIC_RMSPROP",
});

/// Form of a row's remainder beyond second order at the mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remainder {
    /// None: the log density is quadratic.
    None,
    /// By subtraction, for any likelihood.
    Any,
    /// Binomial with the logit link.
    Logit,
    /// Poisson.
    Poisson,
    /// Softmax.
    Softmax,
}

codes!(Remainder, from 0 {
    Remainder::None => "REMAINDER_NONE",
    Remainder::Any => "REMAINDER_ANY",
    Remainder::Logit => "REMAINDER_LOGIT",
    Remainder::Poisson => "REMAINDER_POISSON",
    Remainder::Softmax => "REMAINDER_SOFTMAX",
});

/// Why a chain ended, in its status words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultCode {
    /// It goes on.
    None,
    /// The metric is not positive definite.
    MetricNotPositive,
    /// The noise budget is negative.
    ResidualNotPositive,
    /// A number is not finite, or too large.
    Diverged,
}

codes!(FaultCode, from 0 {
    FaultCode::None => "NO_FAULT",
    FaultCode::MetricNotPositive => "METRIC_NOT_POSITIVE",
    FaultCode::ResidualNotPositive => "RESIDUAL_NOT_POSITIVE",
    FaultCode::Diverged => "DIVERGED",
});

/// The status words of a chain with the metric at its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusWord {
    /// [`FaultCode`] of the first fault.
    Fault,
    /// Step of the first fault.
    FaultStep,
    /// Index of the pivot that failed in the first fault.
    FaultPivot,
    /// Number of steps since the start whose residual noise fell back to full noise.
    Fallbacks,
    /// [`FaultCode`] of this step.
    Pending,
    /// Index of the pivot that failed in this step.
    PendingPivot,
    /// Jitter level of the metric's last factorisation.
    Level,
    /// 1 while the residual's factor cannot be used.
    FellBack,
    /// Jitter level of the target's volume |N·F + Λ|; also above 0 where MALA does not trust it.
    VolumeLevel,
}

codes!(StatusWord, from 0 {
    StatusWord::Fault => "FAULT",
    StatusWord::FaultStep => "FAULT_STEP",
    StatusWord::FaultPivot => "FAULT_PIVOT",
    StatusWord::Fallbacks => "FALLBACKS",
    StatusWord::Pending => "PENDING",
    StatusWord::PendingPivot => "PENDING_PIVOT",
    StatusWord::Level => "LEVEL",
    StatusWord::FellBack => "FELL_BACK",
    StatusWord::VolumeLevel => "VOLUME_LEVEL",
});

/// The status words of a chain with the metric at the mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModeStatusWord {
    /// [`FaultCode`] of the first fault.
    Fault,
    /// Step of the first fault.
    FaultStep,
    /// Number of steps since the start that were not made.
    Unmade,
}

codes!(ModeStatusWord, from 0 {
    ModeStatusWord::Fault => "MODE_FAULT",
    ModeStatusWord::FaultStep => "MODE_FAULT_STEP",
    ModeStatusWord::Unmade => "MODE_UNMADE",
});

/// Whose jitter level a factorisation reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reports {
    /// Neither's.
    Neither,
    /// The metric's.
    Metric,
    /// The target's volume.
    Volume,
    /// Both, which are one matrix.
    Both,
}

codes!(Reports, from 0 {
    Reports::Neither => "REPORTS_NEITHER",
    Reports::Metric => "REPORTS_METRIC",
    Reports::Volume => "REPORTS_VOLUME",
    Reports::Both => "REPORTS_BOTH",
});

/// Number of status words per chain with the metric at the state.
pub const STATUS: usize = StatusWord::NAMES.len();
/// Number of status words per chain with the metric at the mode.
pub const MODE_STATUS: usize = ModeStatusWord::NAMES.len();

/// The constants of all codes, counts and places, with which every linked module starts.
pub(crate) fn constants() -> Vec<(String, u32)> {
    fn of<T: Code>() -> impl Iterator<Item = (String, u32)> {
        (T::FIRST..)
            .zip(T::NAMES)
            .map(|(n, name)| (name.to_string(), n))
    }
    let counts = [
        ("STATUS", STATUS),
        ("MODE_STATUS", MODE_STATUS),
        ("STATS", Stat::COUNT),
    ];
    let stats = Stat::ALL
        .iter()
        .map(|s| (format!("STAT_{}", s.name().to_uppercase()), s.at() as u32));
    counts
        .into_iter()
        .map(|(name, n)| (name.to_string(), n as u32))
        .chain(stats)
        .chain(of::<RowRule>())
        .chain(of::<Noise>())
        .chain(of::<Storage>())
        .chain(of::<Activation>())
        .chain(of::<Prior>())
        .chain(of::<ScalePrior>())
        .chain(of::<Stream>())
        .chain(of::<Weights>())
        .chain(of::<DiagonalMetric>())
        .chain(of::<Remainder>())
        .chain(of::<FaultCode>())
        .chain(of::<StatusWord>())
        .chain(of::<ModeStatusWord>())
        .chain(of::<Reports>())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The counter word of a stream is its code: the CPU's generator uses the discriminant.
    #[test]
    fn streams_have_the_counter_words_of_core() {
        for stream in [
            Stream::Batch,
            Stream::Accept,
            Stream::Influence,
            Stream::Program,
        ] {
            assert_eq!(stream.code(), stream as u32);
        }
    }

    #[test]
    fn names_are_apart() {
        let mut names: Vec<String> = constants().into_iter().map(|(name, _)| name).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
