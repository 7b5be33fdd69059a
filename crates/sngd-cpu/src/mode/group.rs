//! Sixteen chains whose every step takes all rows: exact MALA with a constant metric, or the same step without its test.

use super::data::{ModeData, PriorRoom, zero_lane};
use super::lanes::{LANES, Lane};
use super::pass::{Pass, Sums};
use super::{DIVERGED_SDS, Kept, MIN_SPREAD};
use crate::normals::fill_normals;
use crate::scalar::Scalar;
use sngd_core::engine::FaultKind;
use sngd_core::philox::{Stream, at, uniform};

/// Settings of one step.
#[derive(Debug, Clone, Copy)]
pub struct Move {
    /// Step size ε, no unit.
    pub epsilon: f64,
    /// Temperature T, no unit.
    pub temperature: f64,
    /// Whether a Metropolis test follows the step.
    pub metropolis: bool,
    /// Seed: the key of every random stream.
    pub seed: u64,
    /// Stream of the proposal's noise; a pilot run draws from another stream than the run.
    pub noise: Stream,
}

/// Positions of sixteen chains, and R and ∇R there (`sngd_core::engine`).
#[derive(Debug, Clone)]
struct Point<T> {
    /// Positions in whitened coordinates u, `[P][16]`.
    u: Vec<Lane<T>>,
    /// Gradient ∇R in u, `[P][16]`.
    slope: Vec<Lane<T>>,
    /// R of each lane in nats: the log posterior less its Gaussian approximation, −C(ω*) − ½|u|².
    rest: [f64; LANES],
}

impl<T: Scalar> Point<T> {
    fn new(p: usize) -> Point<T> {
        Point {
            u: vec![zero_lane(); p],
            slope: vec![zero_lane(); p],
            rest: [0.0; LANES],
        }
    }
}

/// Chains `first..first + count` side by side, one per lane; lanes beyond `count` stay at the mode.
#[derive(Debug)]
pub struct Group<T> {
    /// Index of the first chain.
    pub first: u32,
    /// Number of chains, at most sixteen.
    pub count: usize,
    /// The first fault of each lane, with its step.
    pub faults: [Option<(u32, FaultKind)>; LANES],
    here: Point<T>,
    there: Point<T>,
    /// Input and sums of a pass over all rows.
    pub sums: Sums<T>,
    noise: Vec<Lane<T>>,
    z: Vec<T>,
    prior: PriorRoom,
    started: bool,
}

impl<T: Scalar> Group<T> {
    /// Chains at the positions `u`, `[count,P]`.
    pub fn new(p: usize, first: u32, u: &[f64]) -> Group<T> {
        let mut here = Point::new(p);
        for (l, u) in u.chunks_exact(p).enumerate() {
            for (lane, &u) in here.u.iter_mut().zip(u) {
                lane[l] = T::of(u);
            }
        }
        Group {
            first,
            count: u.len() / p,
            faults: [None; LANES],
            here,
            there: Point::new(p),
            sums: Sums::new(p),
            noise: vec![zero_lane(); p],
            z: vec![T::zero(); p],
            prior: PriorRoom::new(p),
            started: false,
        }
    }

    /// Position u of lane l, `[P]`.
    pub fn position(&self, l: usize) -> impl Iterator<Item = f64> {
        self.here.u.iter().map(move |u| u[l].to64())
    }

    /// Gradient of the cost of lane l in u, ∇C, `[P]`.
    pub fn gradient(&self, l: usize) -> impl Iterator<Item = f64> {
        let both = self.here.u.iter().zip(&self.here.slope);
        both.map(move |(u, s)| u[l].to64() - s[l].to64())
    }

    /// R of lane l in nats, after the first pass.
    pub fn rest(&self, l: usize) -> f64 {
        self.here.rest[l]
    }

    /// Writes the present positions as the input of a pass, if none has been made there; returns whether a pass is needed.
    pub fn prepare_start(&mut self, data: &ModeData<T>) -> bool {
        if self.started {
            return false;
        }
        data.to_design(&self.here.u, &mut self.sums.vector);
        true
    }

    /// Reads the sums of the first pass.
    pub fn start(&mut self, data: &ModeData<T>) {
        finish(data, &self.sums, &mut self.prior, &mut self.here);
        self.started = true;
    }

    /// Makes the proposals of step t and writes them as the input of a pass.
    pub fn propose(&mut self, data: &ModeData<T>, how: &Move, t: u32) {
        for l in 0..self.count {
            let chain = self.first + l as u32;
            fill_normals(&mut self.z, how.seed, how.noise, chain, t);
            for (lane, &z) in self.noise.iter_mut().zip(&self.z) {
                lane[l] = z;
            }
        }
        let (a, e) = (T::of(1.0 - how.epsilon), T::of(how.epsilon));
        let spread = T::of(spread(how));
        for j in 0..data.p {
            let (u, slope, z) = (&self.here.u[j], &self.here.slope[j], &self.noise[j]);
            self.there.u[j] = std::array::from_fn(|l| a * u[l] + e * slope[l] + spread * z[l]);
        }
        data.to_design(&self.there.u, &mut self.sums.vector);
    }

    /// Accepts or rejects the proposals of step t and moves. Returns each lane's probability of acceptance, and how many lanes had a
    /// proposal that is not finite.
    pub fn settle(&mut self, data: &ModeData<T>, how: &Move, t: u32) -> ([f64; LANES], u64) {
        finish(data, &self.sums, &mut self.prior, &mut self.there);
        let (here, there) = (&self.here, &self.there);
        let (a, e) = (1.0 - how.epsilon, how.epsilon);
        let budget = spread(how).powi(2).max(MIN_SPREAD);
        let (mut cross, mut size, mut furthest) =
            (zero_lane::<T>(), zero_lane::<T>(), zero_lane::<T>());
        let (ta, te, two) = (T::of(a), T::of(e), T::of(2.0));
        for j in 0..data.p {
            let (u, w) = (&here.u[j], &there.u[j]);
            let (b, c) = (&here.slope[j], &there.slope[j]);
            for l in 0..LANES {
                let (b, c) = (te * b[l], te * c[l]);
                cross[l] += two * (c * (u[l] - ta * w[l]) - b * (w[l] - ta * u[l]));
                size[l] += b * b - c * c;
                let far = w[l].abs();
                furthest[l] = if far > furthest[l] { far } else { furthest[l] };
            }
        }
        let mut moves = [false; LANES];
        let (mut odds, mut unfit) = ([0.0; LANES], 0);
        for l in 0..self.count {
            if self.faults[l].is_some() {
                continue;
            }
            let change = there.rest[l] - here.rest[l];
            let log = change / how.temperature.max(MIN_SPREAD)
                + (cross[l].to64() + size[l].to64()) / (2.0 * budget);
            let finite = there.rest[l].is_finite() && size[l].to64().is_finite();
            odds[l] = if log > f64::NEG_INFINITY {
                log.exp().min(1.0)
            } else {
                0.0
            };
            unfit += u64::from(!finite);
            moves[l] = if how.metropolis {
                let chain = self.first + l as u32;
                finite && uniform(at(how.seed, Stream::Accept, chain, t, 0)[0]).ln() < log
            } else {
                finite
            };
            if moves[l] && furthest[l].to64() > DIVERGED_SDS {
                self.faults[l] = Some((t, FaultKind::Diverged));
                moves[l] = false;
            }
        }
        let keep = |l: usize| moves[l];
        for j in 0..data.p {
            for l in 0..LANES {
                if keep(l) {
                    self.here.u[j][l] = self.there.u[j][l];
                    self.here.slope[j][l] = self.there.slope[j][l];
                }
            }
        }
        for l in 0..LANES {
            if moves[l] {
                self.here.rest[l] = self.there.rest[l];
            }
        }
        (odds, unfit)
    }

    /// What is kept of lane l before step t moves it. The probability of acceptance and the norm of the noise are added after the step.
    pub fn kept(&self, data: &ModeData<T>, l: usize) -> Kept {
        let u: Vec<f64> = self.position(l).collect();
        let gradient: Vec<f64> = self.gradient(l).collect();
        let square: f64 = u.iter().map(|u| u * u).sum();
        Kept {
            lp: self.here.rest[l] - 0.5 * square - data.expansion.cost,
            grad_norm: gradient.iter().map(|g| g * g).sum::<f64>().sqrt(),
            u,
            gradient,
        }
    }

    /// Norm of the noise of lane l at the last proposal, in u.
    pub fn noise_norm(&self, how: &Move, l: usize) -> f64 {
        let square: f64 = self.noise.iter().map(|z| z[l].to64().powi(2)).sum();
        spread(how) * square.sqrt()
    }
}

/// Standard deviation of the noise in u, √((2ε − ε²)T).
fn spread(how: &Move) -> f64 {
    ((2.0 * how.epsilon - how.epsilon * how.epsilon) * how.temperature).sqrt()
}

/// Computes R and ∇R at a point from the sums of a pass.
fn finish<T: Scalar>(
    data: &ModeData<T>,
    sums: &Sums<T>,
    prior: &mut PriorRoom,
    point: &mut Point<T>,
) {
    data.whiten_sums(&sums.gradient, &mut point.slope);
    let mut pull = [0.0; LANES];
    for j in 0..data.p {
        let c = data.slope[j];
        let u = &point.u[j];
        for l in 0..LANES {
            point.slope[j][l] -= c;
            pull[l] += (c * u[l]).to64();
        }
    }
    for l in 0..LANES {
        point.rest[l] = sums.rest[l] - pull[l];
    }
    if !data.expansion.quadratic_prior {
        let (u, slope) = (&point.u, &mut point.slope);
        for l in 0..LANES {
            point.rest[l] -= data.add_prior(prior, |j| u[j][l], |j, g| slope[j][l] -= g);
        }
    }
}

/// Moves some groups through step t with one pass for all of them. `each` gets each group's index, the group, its probabilities of
/// acceptance and the number of its lanes whose proposal is not finite.
pub fn step<T: Scalar>(
    data: &ModeData<T>,
    how: &Move,
    groups: &mut [Group<T>],
    pass: &mut Pass<T>,
    t: u32,
    mut each: impl FnMut(usize, &Group<T>, [f64; LANES], u64),
) {
    groups.iter_mut().for_each(|g| g.propose(data, how, t));
    let mut sums: Vec<&mut Sums<T>> = groups.iter_mut().map(|g| &mut g.sums).collect();
    pass.run(data, &mut sums);
    for (i, group) in groups.iter_mut().enumerate() {
        let (odds, unfit) = group.settle(data, how, t);
        each(i, group, odds, unfit);
    }
}

/// Makes the pass that the first step of some groups needs.
pub fn start<T: Scalar>(data: &ModeData<T>, groups: &mut [Group<T>], pass: &mut Pass<T>) {
    let any = groups
        .iter_mut()
        .map(|g| g.prepare_start(data))
        .fold(false, |a, b| a | b);
    if any {
        let mut sums: Vec<&mut Sums<T>> = groups.iter_mut().map(|g| &mut g.sums).collect();
        pass.run(data, &mut sums);
        groups.iter_mut().for_each(|g| g.start(data));
    }
}
