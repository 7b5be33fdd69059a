//! One chain whose step sees a few rows: control variates of second order at the mode, rows drawn by their influence.

use super::data::{ModeData, PriorRoom};
use super::lanes::prefetch;
use super::{DIVERGED_SDS, Kept};
use crate::normals;
use crate::resident::Scalar;
use pulp::{Simd, WithSimd};
use sngd_core::engine::FaultKind;
use sngd_core::expansion::{AliasTable, RowLayout};
use sngd_core::philox::Stream;

/// Rows that go through the products together.
const FOUR: usize = 4;
/// Rows that are on their way from memory while others are computed.
const AHEAD: usize = 16;

/// One chain and its room.
#[derive(Debug)]
pub struct Subsampled<T> {
    /// Its number.
    pub chain: u32,
    /// u, `[P]`.
    pub u: Vec<T>,
    /// Set when the chain cannot go on.
    pub fault: Option<(u32, FaultKind)>,
    rows: Vec<u32>,
    vector: Vec<T>,
    /// Estimate of ∇R in u, `[P]`.
    slope: Vec<T>,
    sums: Vec<T>,
    z: Vec<T>,
    delta: Vec<T>,
    eta: Vec<T>,
    r: Vec<T>,
    prior: PriorRoom,
}

/// What a step needs beside the chain.
#[derive(Debug, Clone, Copy)]
pub struct Address<'a> {
    /// How rows are drawn.
    pub influence: &'a AliasTable,
    /// ε.
    pub epsilon: f64,
    /// T.
    pub temperature: f64,
    /// Key of the streams.
    pub seed: u64,
    /// Step.
    pub t: u32,
    /// Whether what is kept of a draw is asked for.
    pub keep: bool,
}

/// What a step says of itself.
#[derive(Debug)]
pub struct Told {
    /// What is kept of the state before the step.
    pub kept: Option<Kept>,
    /// |noise|.
    pub noise_norm: f64,
    /// Whether the gradient was finite, so that the step was made.
    pub moved: bool,
}

impl<T: Scalar> Subsampled<T> {
    /// A chain at `u`, with batches of `batch` rows.
    pub fn new(data: &ModeData<T>, chain: u32, u: &[f64], batch: usize) -> Subsampled<T> {
        let zeros = |n| vec![T::zero(); n];
        let h = data.k + data.aux;
        Subsampled {
            chain,
            u: u.iter().map(|&u| T::of(u)).collect(),
            fault: None,
            rows: vec![0; batch],
            vector: zeros(data.p),
            slope: zeros(data.p),
            sums: zeros(data.p),
            z: zeros(data.p),
            delta: zeros(h * FOUR),
            eta: zeros(h),
            r: zeros(h * FOUR),
            prior: PriorRoom::new(data.p),
        }
    }

    /// Step t. The chain stays where its gradient is not finite.
    pub fn step(&mut self, data: &ModeData<T>, at: &Address<'_>) -> Told {
        let (seed, chain, t) = (at.seed, self.chain, at.t);
        at.influence.fill(&mut self.rows, seed, chain, t);
        let mut rest = pulp::Arch::new().dispatch(Estimate { chain: self, data });
        for (j, slope) in self.slope.iter_mut().enumerate() {
            *slope -= data.slope[j];
            rest -= (data.slope[j] * self.u[j]).to64();
        }
        if !data.expansion.quadratic_prior {
            let (u, slope) = (&self.u, &mut self.slope);
            rest -= data.add_prior(&mut self.prior, |j| u[j], |j, g| slope[j] -= g);
        }
        normals::fill_normals(&mut self.z, seed, Stream::Noise, chain, t);
        let e = at.epsilon;
        let spread = ((2.0 * e - e * e) * at.temperature).sqrt();
        let kept = at.keep.then(|| self.kept(data, rest));
        let noise_norm = if at.keep {
            let square: f64 = self.z.iter().map(|z| z.to64().powi(2)).sum();
            spread * square.sqrt()
        } else {
            f64::NAN
        };
        let moved = rest.is_finite() && self.slope.iter().all(|s| s.is_finite());
        if moved {
            let (a, e, spread) = (T::of(1.0 - e), T::of(e), T::of(spread));
            let mut far = T::zero();
            for ((u, &s), &z) in self.u.iter_mut().zip(&self.slope).zip(&self.z) {
                *u = a * *u + e * s + spread * z;
                far = if u.abs() > far { u.abs() } else { far };
            }
            if far.to64() > DIVERGED_SDS {
                self.fault = Some((t, FaultKind::Diverged));
            }
        }
        Told {
            kept,
            noise_norm,
            moved,
        }
    }

    fn kept(&self, data: &ModeData<T>, rest: f64) -> Kept {
        let u: Vec<f64> = self.u.iter().map(|u| u.to64()).collect();
        let both = u.iter().zip(&self.slope);
        let gradient: Vec<f64> = both.map(|(u, s)| u - s.to64()).collect();
        let square: f64 = u.iter().map(|u| u * u).sum();
        Kept {
            lp: rest - 0.5 * square - data.expansion.cost,
            grad_norm: gradient.iter().map(|g| g * g).sum::<f64>().sqrt(),
            u,
            gradient,
        }
    }

    /// (1/B) Σ Jᵀr/q over the chosen rows into `slope`; returns (1/B) Σ ρ/q.
    #[inline(always)]
    fn estimate(&mut self, data: &ModeData<T>) -> f64 {
        let expansion = &*data.expansion;
        if expansion.whitened {
            self.vector.copy_from_slice(&self.u);
        } else {
            data.to_design_one(&self.u, &mut self.vector);
        }
        let (n, len) = (expansion.columns, expansion.layout.width());
        let (k, h) = (data.k, data.k + data.aux);
        let share = T::of(1.0 / self.rows.len() as f64);
        self.sums.fill(T::zero());
        let mut rest = 0.0;
        let mut last = T::zero();
        let fetch = |rows: &[u32]| {
            for &i in rows {
                prefetch(&expansion.x[i as usize * n..][..n]);
                prefetch(&expansion.rows[i as usize * len..][..len]);
            }
        };
        fetch(&self.rows[..self.rows.len().min(AHEAD)]);
        for (b, four) in self.rows.chunks(FOUR).enumerate() {
            let next = (b * FOUR + AHEAD).min(self.rows.len());
            fetch(&self.rows[next..(next + FOUR).min(self.rows.len())]);
            // A short block repeats its first row and gives the repetition no weight.
            let row = |i: usize| four.get(i).copied().unwrap_or(four[0]) as usize;
            let x: [&[f32]; FOUR] = std::array::from_fn(|i| &expansion.x[row(i) * n..][..n]);
            for out in 0..k {
                let dots = T::dots(x, &self.vector[out * n..][..n]);
                (0..FOUR).for_each(|i| self.delta[i * h + out] = dots[i]);
            }
            if data.aux == 1 {
                let moved = self.vector[data.p - 1] * data.aux_scale;
                (0..FOUR).for_each(|i| self.delta[i * h + k] = moved);
            }
            for i in 0..FOUR {
                let known = &expansion.rows[row(i) * len..][..len];
                let delta = &self.delta[i * h..][..h];
                let r = &mut self.r[i * h..][..h];
                let rho = data.likelihood.remainder(known, delta, &mut self.eta, r);
                let counts = if i < four.len() {
                    share * T::of(f64::from(known[RowLayout::INVERSE_Q]))
                } else {
                    T::zero()
                };
                r.iter_mut().for_each(|r| *r *= counts);
                rest += (rho * counts).to64();
                if data.aux == 1 {
                    last += r[k];
                }
            }
            for out in 0..k {
                let f = std::array::from_fn(|i| self.r[i * h + out]);
                T::add_rows(x, f, &mut self.sums[out * n..][..n]);
            }
        }
        if data.aux == 1 {
            self.sums[data.p - 1] += last * data.aux_scale;
        }
        if expansion.whitened {
            self.slope.copy_from_slice(&self.sums);
        } else {
            data.whiten_one(&self.sums, &mut self.slope);
        }
        rest
    }
}

struct Estimate<'a, T> {
    chain: &'a mut Subsampled<T>,
    data: &'a ModeData<T>,
}

impl<T: Scalar> WithSimd for Estimate<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        self.chain.estimate(self.data)
    }
}
