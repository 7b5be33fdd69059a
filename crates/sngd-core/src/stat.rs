//! The statistics of a kept draw.

/// A statistic. Its number is its position in a row of `RawBlock::stats`, and in the kernels' kept draws: they get it as the constant
/// `STAT_` and its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Stat {
    /// Log posterior over all rows in nats, without `Problem::log_norm`; NaN where it was not computed.
    Lp,
    /// The same, estimated from the step's minibatch.
    LpMinibatch,
    /// Norm of the gradient of the cost in the metric, √(∇CᵀM⁻¹∇C).
    GradNorm,
    /// Norm of the noise n that the step adds, in the metric, √(nᵀMn).
    NoiseNorm,
    /// Relative jitter that the metric needed for its Cholesky factorisation.
    CholeskyJitter,
    /// 1 from the step at which the chain diverged, else 0.
    Diverging,
    /// Step size ε, no unit.
    StepSize,
    /// Temperature T, no unit.
    Temperature,
    /// Probability with which the step was accepted; 1 where there is no test.
    AcceptanceRate,
}

impl Stat {
    /// All statistics, in order.
    pub const ALL: [Stat; 9] = [
        Stat::Lp,
        Stat::LpMinibatch,
        Stat::GradNorm,
        Stat::NoiseNorm,
        Stat::CholeskyJitter,
        Stat::Diverging,
        Stat::StepSize,
        Stat::Temperature,
        Stat::AcceptanceRate,
    ];

    /// Number of statistics: the length of a row.
    pub const COUNT: usize = Stat::ALL.len();

    /// Name in traces and summaries.
    pub const fn name(self) -> &'static str {
        match self {
            Stat::Lp => "lp",
            Stat::LpMinibatch => "lp_minibatch",
            Stat::GradNorm => "grad_norm",
            Stat::NoiseNorm => "noise_norm",
            Stat::CholeskyJitter => "cholesky_jitter",
            Stat::Diverging => "diverging",
            Stat::StepSize => "step_size",
            Stat::Temperature => "temperature",
            Stat::AcceptanceRate => "acceptance_rate",
        }
    }

    /// Whether it is stored as true or false.
    pub const fn is_flag(self) -> bool {
        matches!(self, Stat::Diverging)
    }

    /// Position in a row.
    pub const fn at(self) -> usize {
        self as usize
    }

    /// A row in which no statistic is known: NaN everywhere.
    pub const UNKNOWN: StatRow = [f64::NAN; Stat::COUNT];

    /// A row of the given statistics; the others are NaN.
    pub fn row(known: &[(Stat, f64)]) -> StatRow {
        let mut row = Stat::UNKNOWN;
        for (stat, value) in known {
            row[stat.at()] = *value;
        }
        row
    }
}

/// One number per statistic, at [`Stat::at`].
pub type StatRow = [f64; Stat::COUNT];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_the_order_and_names_are_apart() {
        for (i, stat) in Stat::ALL.into_iter().enumerate() {
            assert_eq!(stat.at(), i);
            assert!(Stat::ALL[..i].iter().all(|s| s.name() != stat.name()));
        }
        let row = Stat::row(&[(Stat::StepSize, 0.3), (Stat::Lp, -2.0)]);
        assert_eq!((row[0], row[6]), (-2.0, 0.3));
        assert!(row[1].is_nan());
    }
}
