//! Converts kept draws from the device to internal coordinates in f64.

use super::shape::{BESIDE, Rows};
use super::steps::ModeSteps;
use sngd_core::engine::RawBlock;
use sngd_core::stat::{Stat, StatRow};
use sngd_shaders::{Code, FaultCode, MODE_STATUS, ModeStatusWord};

impl ModeSteps {
    /// Appends kept draws to a block.
    pub(super) fn take_kept(&self, block: &mut RawBlock, kept: &[u32], status: &[u32]) {
        let shape = &self.loaded.shape;
        let (c, p) = (shape.c, shape.p);
        let few = matches!(shape.rows, Rows::Few(_));
        let span = block.span;
        let before = block.omega.len() / (c * p);
        let mut numbers = vec![0.0; 2 * p + BESIDE];
        for (i, words) in kept.chunks_exact(shape.kept()).enumerate() {
            let t = span.first_step + (before + i / c) as u32 * span.thin;
            let word = |w: ModeStatusWord| status[i % c * MODE_STATUS + w.code() as usize];
            let fault = word(ModeStatusWord::Fault);
            let ended = (fault != FaultCode::None.code()).then(|| word(ModeStatusWord::FaultStep));
            // A chain over few rows stores no draw after it has ended; one over all rows stays where it is.
            let lost = few && ended.is_some_and(|at| at < t);
            for (to, word) in numbers.iter_mut().zip(words) {
                *to = if lost {
                    f64::NAN
                } else {
                    f64::from(f32::from_bits(*word))
                };
            }
            let mut stats = if lost {
                Stat::UNKNOWN
            } else {
                self.stats(&numbers, t)
            };
            if !lost && ended.is_some_and(|at| at < t + span.thin) {
                stats[Stat::Diverging.at()] = 1.0;
            }
            let (u, more) = numbers.split_at_mut(p);
            self.loaded.expansion.to_internal(u);
            self.loaded.expansion.gradient_to_internal(&mut more[..p]);
            block.omega.extend_from_slice(u);
            block.gradient.extend_from_slice(&more[..p]);
            block.stats.extend_from_slice(&stats);
        }
    }

    /// The statistics of draw `t`, from u `[P]`, ∇C in u `[P]` and the [`BESIDE`] further values of the device.
    fn stats(&self, numbers: &[f64], t: u32) -> StatRow {
        let expansion = &self.loaded.expansion;
        let p = self.loaded.shape.p;
        let (u, more) = numbers.split_at(p);
        let (gradient, beside) = more.split_at(p);
        let square = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>();
        let mut rest = beside[0];
        if matches!(self.loaded.shape.rows, Rows::Few(_)) {
            let pull: f64 = u.iter().zip(&expansion.slope).map(|(u, c)| u * c).sum();
            rest -= pull;
        }
        let lp = rest - 0.5 * square(u) - expansion.cost;
        let (epsilon, spread) = self.moves(t);
        Stat::row(&[
            (Stat::Lp, if self.plan.full_batch { lp } else { f64::NAN }),
            (Stat::LpMinibatch, lp),
            (Stat::GradNorm, square(gradient).sqrt()),
            (Stat::NoiseNorm, spread * beside[1].sqrt()),
            (Stat::CholeskyJitter, 0.0),
            (Stat::Diverging, 0.0),
            (Stat::StepSize, epsilon),
            (Stat::Temperature, self.plan.temperature),
            (Stat::AcceptanceRate, beside[2]),
        ])
    }
}
