//! Cuts a run into spans: warm-up first, then draws. The cut does not change any draw, to the bit.

use crate::engine::Span;
use crate::plan::Plan;

/// The next step of a run, and how much of it remains.
#[derive(Debug, Clone)]
pub struct Cursor {
    step: u32,
    warmup_end: u32,
    draws_left: u32,
    thin: u32,
    save_warmup: bool,
}

impl Cursor {
    /// Starts at the first step of a plan.
    pub fn new(plan: &Plan, save_warmup: bool) -> Cursor {
        Cursor {
            step: 0,
            warmup_end: plan.warmup as u32,
            draws_left: plan.draws as u32,
            thin: plan.thin as u32,
            save_warmup,
        }
    }

    /// Goes on at `step`, when `draws` draws are kept.
    pub fn after(plan: &Plan, save_warmup: bool, step: u32, draws: u64) -> Cursor {
        Cursor {
            step,
            draws_left: (plan.draws as u64).saturating_sub(draws) as u32,
            ..Cursor::new(plan, save_warmup)
        }
    }

    /// Index of the next step.
    pub fn step(&self) -> u32 {
        self.step
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
                // No draw is kept: one state per span is read back.
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
}
