//! Cuts a run into spans: warm-up first, then draws, each span about a tenth of a second long.

use sngd_core::engine::{STATS, Span};
use sngd_core::plan::Plan;
use std::time::Duration;

/// How long a block should take.
const GOAL: Duration = Duration::from_millis(100);
/// Most bytes of a block, internal and natural draws and statistics together.
const BLOCK_BYTES: usize = 64 << 20;

/// The next step and what is left.
#[derive(Debug, Clone)]
pub(crate) struct Cursor {
    step: u32,
    warmup_end: u32,
    draws_left: u32,
    thin: u32,
    save_warmup: bool,
}

impl Cursor {
    pub fn new(plan: &Plan, save_warmup: bool) -> Cursor {
        Cursor {
            step: 0,
            warmup_end: plan.warmup as u32,
            draws_left: plan.draws as u32,
            thin: plan.thin as u32,
            save_warmup,
        }
    }

    /// The next span of about `steps` steps, at most `draws` draws; `None` after the last.
    pub fn next(&mut self, steps: u32, draws: u32) -> Option<Span> {
        let warmup = self.step < self.warmup_end;
        let (first_step, thin) = (self.step, self.thin);
        let wanted = (steps / thin).clamp(1, draws.max(1));
        let span = if warmup {
            let left = self.warmup_end - self.step;
            if self.save_warmup && left >= thin {
                Span {
                    first_step,
                    draws: wanted.min(left / thin),
                    thin,
                    warmup,
                }
            } else {
                // Nothing is kept: one state a span is all that is read back.
                Span {
                    first_step,
                    draws: 1,
                    thin: steps.clamp(1, left),
                    warmup,
                }
            }
        } else if self.draws_left > 0 {
            let draws = wanted.min(self.draws_left);
            self.draws_left -= draws;
            Span {
                first_step,
                draws,
                thin,
                warmup,
            }
        } else {
            return None;
        };
        self.step += span.draws * span.thin;
        Some(span)
    }
}

/// Learns how many steps a block should have.
#[derive(Debug, Clone)]
pub(crate) struct Sizer {
    steps: f64,
    per_step: Option<f64>,
    max_draws: u32,
}

impl Sizer {
    pub fn new(plan: &Plan) -> Sizer {
        let draw = plan.chains * (2 * plan.p + 2 * STATS.len()) * size_of::<f64>();
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

    /// A span took this long; blocks grow at most fourfold, so that a first guess from a cold start does no harm.
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

    fn cursor(warmup: u32, draws: u32, thin: u32, save_warmup: bool) -> Cursor {
        Cursor {
            step: 0,
            warmup_end: warmup,
            draws_left: draws,
            thin,
            save_warmup,
        }
    }

    #[test]
    fn spans_cover_every_step_once() {
        for save in [false, true] {
            let mut c = cursor(103, 50, 7, save);
            let (mut step, mut draws, mut kept_warmup) = (0, 0, 0);
            let mut size = 1;
            while let Some(s) = c.next(size, 9) {
                assert_eq!(s.first_step, step);
                assert!(s.draws >= 1 && s.draws <= 9);
                assert_eq!(s.warmup, step < 103);
                if s.warmup && s.thin == 7 {
                    kept_warmup += s.draws;
                }
                if !s.warmup {
                    assert_eq!(s.thin, 7);
                    draws += s.draws;
                }
                step += s.draws * s.thin;
                size += 13;
            }
            assert_eq!((step, draws), (103 + 350, 50));
            assert!(!save || kept_warmup == 14);
        }
    }

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
