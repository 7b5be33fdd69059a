//! Data as the engine keeps it: the problem's design in the engine's number format.

use crate::columns::{self, Source};
use crate::mode::LaneKernels;
use half::{bf16, f16};
use sngd_core::blocks::Layout;
use sngd_core::config::Storage;
use sngd_core::likelihood::{Likelihood, Observed};
use sngd_core::network::Network;
use sngd_core::problem::Problem;
use sngd_core::real::Real;

/// A `Real` that the dense algebra can also work with.
pub trait Scalar: Real + faer::traits::RealField + LaneKernels {}
impl Scalar for f32 {}
impl Scalar for f64 {}

/// What every chain reads and none writes.
#[derive(Debug)]
pub struct Resident<T> {
    /// `[N,D]`, row-major.
    pub x: Vec<T>,
    /// `[N]`.
    pub observed: Vec<Observed<T>>,
    /// The same by columns, where an f32 engine uses that layout.
    pub columns: Option<Source>,
    /// N.
    pub n: usize,
    /// D.
    pub d: usize,
    /// K.
    pub k: usize,
    /// H.
    pub h: usize,
    /// P.
    pub p: usize,
    /// Likelihood in internal units.
    pub likelihood: Likelihood,
    /// The perceptron, if there is one.
    pub network: Option<Network>,
    /// Blocks of the metric.
    pub layout: Layout,
    /// Blocks of one: where no matrix is asked for.
    pub single: Layout,
    /// Λ.
    pub lambda: Lambda,
    /// Roots of the priors' information on the natural scale, 0 for auxiliary parameters, `[P]`.
    pub prior_root: Vec<f64>,
    /// The prior alone is needed each step; the design in it is not.
    pub problem: Problem,
}

impl<T: Scalar> Resident<T> {
    /// Converts once. Half-precision storage rounds each feature as the GPU's resident copy does.
    pub fn new(problem: &Problem, storage: Storage, layout: &Layout) -> Resident<T> {
        let round = |v: f64| match storage {
            Storage::F32 => v,
            Storage::F16 => f16::from_f64(v).to_f64(),
            Storage::Bf16 => bf16::from_f64(v).to_f64(),
        };
        let n = problem.rows();
        let (d, h) = (problem.design_columns(), problem.likelihood.outputs());
        let x: Vec<T> = problem.x.iter().map(|&v| T::of(round(v))).collect();
        let observed: Vec<Observed<T>> = (0..n)
            .map(|i| {
                let o = problem.observed(i);
                Observed {
                    y: T::of(o.y),
                    trials: T::of(o.trials),
                }
            })
            .collect();
        let information: Vec<f64> = (0..problem.parameters())
            .map(|i| problem.priors.get(i).map_or(0.0, |q| q.information()))
            .collect();
        let columns = match T::as_f32(&x) {
            Some(x) if columns::fits(h, d) && problem.network.is_none() && layout.is_full() => {
                let column = |f: fn(&Observed<T>) -> T| -> Vec<f32> {
                    observed.iter().map(|o| f(o).to64() as f32).collect()
                };
                let (y, trials) = (column(|o| o.y), column(|o| o.trials));
                Some(Source::new(problem.likelihood.clone(), x, &y, &trials))
            }
            _ => None,
        };
        Resident {
            x,
            observed,
            columns,
            n,
            d,
            k: problem.likelihood.linear_outputs(),
            h,
            p: problem.parameters(),
            likelihood: problem.likelihood.clone(),
            network: problem.network.clone(),
            layout: layout.clone(),
            single: Layout::of_sizes(std::iter::repeat_n(1, problem.parameters())),
            lambda: match problem.network {
                Some(_) => Lambda::Diagonal(information.clone()),
                None => Lambda::Squares(problem.prior_information_in(layout)),
            },
            prior_root: information.iter().map(|i| i.sqrt()).collect(),
            problem: problem.clone_without_design(),
        }
    }
}

/// The prior's own information Λ in internal coordinates.
#[derive(Debug)]
pub enum Lambda {
    /// In the layout's blocks.
    Squares(Vec<f64>),
    /// A network's has a diagonal alone, `[P]`.
    Diagonal(Vec<f64>),
}

impl Lambda {
    /// Adds Λ to squares of the layout.
    pub fn add_to<T: Scalar>(&self, layout: &Layout, squares: &mut [T]) {
        match self {
            Lambda::Squares(lambda) => {
                (squares.iter_mut().zip(lambda)).for_each(|(s, &l)| *s += T::of(l));
            }
            Lambda::Diagonal(lambda) => {
                for block in &layout.blocks {
                    for i in 0..block.size {
                        squares[block.at + i * (block.size + 1)] += T::of(lambda[block.offset + i]);
                    }
                }
            }
        }
    }

    /// Its diagonal, for a layout of blocks of one.
    pub fn diagonal(&self) -> &[f64] {
        match self {
            Lambda::Squares(lambda) | Lambda::Diagonal(lambda) => lambda,
        }
    }
}
