//! Chooses the length of a span: about a tenth of a second.

use sngd_core::engine::Span;
use sngd_core::plan::Plan;
use sngd_core::stat::Stat;
use std::time::Duration;

/// Wanted duration of a block.
const GOAL: Duration = Duration::from_millis(100);
/// Most bytes of a block: internal and natural draws and statistics together.
const BLOCK_BYTES: usize = 64 << 20;

/// Learns how many steps a block should have.
#[derive(Debug, Clone)]
pub(crate) struct Sizer {
    steps: f64,
    per_step: Option<f64>,
    max_draws: u32,
}

impl Sizer {
    pub fn new(plan: &Plan) -> Sizer {
        let draw = plan.chains * (2 * plan.p + 2 * Stat::COUNT) * size_of::<f64>();
        Sizer {
            steps: 1.0,
            per_step: None,
            max_draws: (BLOCK_BYTES / draw.max(1)).clamp(1, 1 << 16) as u32,
        }
    }

    pub fn steps(&self) -> u32 {
        self.steps as u32
    }

    pub fn max_draws(&self) -> u32 {
        self.max_draws
    }

    /// Notes how long a span took. Blocks grow at most fourfold, so that a poor first guess from a cold start does no harm.
    pub fn measured(&mut self, span: Span, took: Duration) {
        let steps = f64::from(span.draws * span.thin);
        let now = took.as_secs_f64() / steps;
        let mean = self.per_step.map_or(now, |m| 0.5 * (m + now));
        self.per_step = Some(mean);
        let fits = GOAL.as_secs_f64() / mean.max(1e-9);
        self.steps = fits.min(4.0 * self.steps.max(steps)).clamp(1.0, 1e6);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_grow_to_the_goal_and_no_further() {
        let mut s = Sizer {
            steps: 1.0,
            per_step: None,
            max_draws: 100,
        };
        for _ in 0..20 {
            let n = s.steps();
            let span = Span {
                first_step: 0,
                draws: n,
                thin: 1,
                warmup: false,
            };
            s.measured(span, Duration::from_micros(50) * n);
        }
        assert_eq!(s.steps(), 2000);
        let span = Span {
            first_step: 0,
            draws: 1,
            thin: 1,
            warmup: false,
        };
        s.measured(span, Duration::from_secs(3));
        assert_eq!(s.steps(), 1);
    }
}
