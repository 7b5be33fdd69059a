//! Data as the engine keeps it: the problem's design in the engine's number format.

use crate::columns::{self, Source};
use half::{bf16, f16};
use sngd_core::blocks::Layout;
use sngd_core::config::Storage;
use sngd_core::likelihood::{Likelihood, Observed};
use sngd_core::network::Network;
use sngd_core::problem::Problem;
use sngd_core::real::Real;

/// A `Real` that the dense algebra can also work with.
pub trait Scalar: Real + faer::traits::RealField {}
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
    /// Λ in the layout's blocks.
    pub lambda: Vec<f64>,
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
            lambda: problem.prior_information_in(layout),
            problem: problem.clone_without_design(),
        }
    }
}
