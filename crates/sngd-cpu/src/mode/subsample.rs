//! One chain whose step takes a few rows: control variates of second order at the mode, rows drawn by their influence.

use super::data::{ModeData, PriorRoom};
use super::lanes::{LANES, Lane, prefetch};
use super::tile::remainders_of_rows;
use super::{DIVERGED_SDS, Kept};
use crate::normals;
use crate::scalar::Scalar;
use pulp::{Simd, WithSimd};
use sngd_core::engine::FaultKind;
use sngd_core::expansion::{AliasTable, RowLayout};
use sngd_core::philox::Stream;

/// Rows that are multiplied together, for speed.
const FOUR: usize = 4;
/// Bytes prefetched from memory while earlier rows are computed; they fit the second-level cache beside the other data.
const AHEAD: usize = 128 << 10;

/// One chain and its buffers.
#[derive(Debug)]
pub struct Subsampled<T> {
    /// Index of the chain.
    pub chain: u32,
    /// Position in whitened coordinates u, `[P]`.
    pub u: Vec<T>,
    /// Step and kind of the fault that ended the chain; `None` while it can go on.
    pub fault: Option<(u32, FaultKind)>,
    rows: Vec<u32>,
    /// The step for which `rows` have been drawn.
    drawn: Option<u32>,
    vector: Vec<T>,
    /// Estimate of ∇R in u, `[P]`.
    slope: Vec<T>,
    sums: Vec<T>,
    z: Vec<T>,
    /// Δη of sixteen rows, then the remainders r of their scores, `[H][16]`.
    delta: Vec<Lane<T>>,
    room: Vec<T>,
    prior: PriorRoom,
}

/// Settings of one step, and which step it is.
#[derive(Debug, Clone, Copy)]
pub struct Address<'a> {
    /// Table from which the rows are drawn.
    pub influence: &'a AliasTable,
    /// Step size ε, no unit.
    pub epsilon: f64,
    /// Temperature T, no unit.
    pub temperature: f64,
    /// Seed: the key of every random stream.
    pub seed: u64,
    /// Index of the step.
    pub t: u32,
    /// Whether state and statistics before the step are kept as a draw.
    pub keep: bool,
}

/// Outcome of a step.
#[derive(Debug)]
pub struct Outcome {
    /// State and gradient before the step, where asked for.
    pub kept: Option<Kept>,
    /// Norm of the step's noise in u; NaN where nothing is kept.
    pub noise_norm: f64,
    /// Whether the gradient was finite, so that the step was made.
    pub moved: bool,
}

impl<T: Scalar> Subsampled<T> {
    /// Starts a chain at `u` `[P]`, with batches of `batch` rows.
    pub fn new(data: &ModeData<T>, chain: u32, u: &[f64], batch: usize) -> Subsampled<T> {
        let zeros = |n| vec![T::zero(); n];
        let h = data.k + data.aux;
        Subsampled {
            chain,
            u: u.iter().map(|&u| T::of(u)).collect(),
            fault: None,
            rows: vec![0; batch],
            drawn: None,
            vector: zeros(data.p),
            slope: zeros(data.p),
            sums: zeros(data.p),
            z: zeros(data.p),
            delta: vec![[T::zero(); LANES]; h],
            room: zeros(3 * h),
            prior: PriorRoom::new(data.p),
        }
    }

    /// Makes step t. The chain does not move where its gradient is not finite.
    pub fn step(&mut self, data: &ModeData<T>, at: &Address<'_>) -> Outcome {
        let (seed, chain, t) = (at.seed, self.chain, at.t);
        if self.drawn != Some(t) {
            self.draw(data, at, t);
        }
        let mut rest = pulp::Arch::new().dispatch(Estimate { chain: self, data });
        // The next step's rows are prefetched from memory while this step is finished.
        self.draw(data, at, t.wrapping_add(1));
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
        Outcome {
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

    /// Draws the rows of step t and prefetches the first of them.
    fn draw(&mut self, data: &ModeData<T>, at: &Address<'_>, t: u32) {
        pulp::Arch::new().dispatch(Draw {
            table: at.influence,
            rows: &mut self.rows,
            address: (at.seed, self.chain, t),
        });
        self.drawn = Some(t);
        let ahead = self.ahead(data);
        fetch(data, &self.rows[..ahead]);
    }

    /// How many rows are prefetched before they are read.
    fn ahead(&self, data: &ModeData<T>) -> usize {
        let numbers = data.expansion.columns + data.expansion.layout.width();
        (AHEAD / (size_of::<f32>() * numbers))
            .max(LANES)
            .min(self.rows.len())
    }

    /// Writes (1/B) Σ Jᵀr/q over the drawn rows into `slope`; returns (1/B) Σ ρ/q.
    #[inline(always)]
    fn estimate<S: Simd>(&mut self, simd: S, data: &ModeData<T>) -> f64 {
        let expansion = &*data.expansion;
        if expansion.whitened {
            self.vector.copy_from_slice(&self.u);
        } else {
            data.to_design_one(&self.u, &mut self.vector);
        }
        let (n, len) = (expansion.columns, expansion.layout.width());
        let k = data.k;
        let share = T::of(1.0 / self.rows.len() as f64);
        self.sums.fill(T::zero());
        let mut rest = 0.0;
        let mut last = T::zero();
        let ahead = self.ahead(data);
        for (b, block) in self.rows.chunks(LANES).enumerate() {
            let next = (b * LANES + ahead).min(self.rows.len());
            fetch(data, &self.rows[next..(next + LANES).min(self.rows.len())]);
            // A short block repeats its first row; the repetitions get weight 0.
            let mut row = [block[0] as usize; LANES];
            for (row, &i) in row.iter_mut().zip(block) {
                *row = i as usize;
            }
            let mut known: [&[f32]; LANES] = [&[]; LANES];
            let mut counts = [T::zero(); LANES];
            for l in 0..LANES {
                known[l] = &expansion.rows[row[l] * len..][..len];
                if l < block.len() {
                    counts[l] = share * T::of(f64::from(known[l][RowLayout::INVERSE_Q]));
                }
            }
            let fours = FOUR * block.len().div_ceil(FOUR);
            for out in 0..k {
                let v = &self.vector[out * n..][..n];
                for i in (0..fours).step_by(FOUR) {
                    let dots = T::dots(simd, four(&expansion.x, n, &row, i), v);
                    self.delta[out][i..i + FOUR].copy_from_slice(&dots);
                }
            }
            if data.aux == 1 {
                self.delta[k] = [self.vector[data.p - 1] * data.aux_scale; LANES];
            }
            let rho = remainders_of_rows(&data.likelihood, &known, &mut self.delta, &mut self.room);
            let mut sum = T::zero();
            for l in 0..LANES {
                sum += rho[l] * counts[l];
            }
            rest += sum.to64();
            for r in &mut self.delta {
                for l in 0..LANES {
                    r[l] *= counts[l];
                }
            }
            if data.aux == 1 {
                for l in 0..LANES {
                    last += self.delta[k][l];
                }
            }
            for out in 0..k {
                let sums = &mut self.sums[out * n..][..n];
                for i in (0..fours).step_by(FOUR) {
                    let r = &self.delta[out][i..i + FOUR];
                    let f = [r[0], r[1], r[2], r[3]];
                    T::add_rows(four(&expansion.x, n, &row, i), f, sums);
                }
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

/// Rows i to i + 3 of a block, each of `n` numbers.
#[inline(always)]
fn four<'a>(x: &'a [f32], n: usize, row: &[usize; LANES], i: usize) -> [&'a [f32]; FOUR] {
    [
        &x[row[i] * n..][..n],
        &x[row[i + 1] * n..][..n],
        &x[row[i + 2] * n..][..n],
        &x[row[i + 3] * n..][..n],
    ]
}

/// Prefetches all numbers that are read of some rows.
#[inline(always)]
fn fetch<T>(data: &ModeData<T>, rows: &[u32]) {
    let expansion = &*data.expansion;
    let (n, len) = (expansion.columns, expansion.layout.width());
    for &i in rows {
        prefetch(&expansion.x[i as usize * n..][..n]);
        prefetch(&expansion.rows[i as usize * len..][..len]);
    }
}

struct Draw<'a> {
    table: &'a AliasTable,
    rows: &'a mut [u32],
    address: (u64, u32, u32),
}

impl WithSimd for Draw<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (seed, chain, t) = self.address;
        self.table.fill(self.rows, seed, chain, t);
    }
}

struct Estimate<'a, T> {
    chain: &'a mut Subsampled<T>,
    data: &'a ModeData<T>,
}

impl<T: Scalar> WithSimd for Estimate<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        self.chain.estimate(simd, self.data)
    }
}
