//! The data as the CPU engine stores them: the problem's design in the engine's number format.

use crate::columns::{self, Source};
use crate::memory::{DataBytes, column_bytes, prior_bytes};
use crate::scalar::Scalar;
use half::{bf16, f16};
use sngd_core::blocks::Layout;
use sngd_core::config::Storage;
use sngd_core::likelihood::{Likelihood, Observed};
use sngd_core::network::Network;
use sngd_core::plan::Plan;
use sngd_core::problem::Problem;
use std::sync::Arc;

/// The data and priors that all chains read; no chain changes them.
#[derive(Debug)]
pub struct Resident<T> {
    /// The design, internal coordinates, `[N,D]`, row-major; the problem's own numbers where it holds them as the engine needs them.
    pub x: Arc<Vec<T>>,
    /// Response and trials of each row, internal units, `[N]`.
    pub observed: Vec<Observed<T>>,
    /// Number added to the linear output of each row, internal units, `[N]`; empty where there is no offset.
    pub offset: Vec<T>,
    /// How often each row counts, `[N]`; empty where every row counts once.
    pub weights: Vec<T>,
    /// Design and response stored by columns, where an f32 engine uses that layout.
    pub(crate) columns: Option<Source>,
    /// Number of data rows, N.
    pub n: usize,
    /// Number of design columns, D.
    pub d: usize,
    /// Number of linear outputs, K.
    pub k: usize,
    /// Number of outputs, H = K + A.
    pub h: usize,
    /// Number of parameters, P.
    pub p: usize,
    /// The likelihood, in internal units.
    pub likelihood: Likelihood,
    /// The perceptron; `None` for a linear predictor.
    pub network: Option<Network>,
    /// Blocks of the metric, in the order of ω.
    pub layout: Layout,
    /// A layout of P blocks of order one, for passes that need the diagonal alone.
    pub single: Layout,
    /// Information Λ of the priors, internal coordinates.
    pub lambda: Lambda,
    /// Square roots of the priors' information on the natural scale, 0 for auxiliary parameters, `[P]`.
    pub prior_root: Vec<f64>,
    /// The problem without its design: every step needs its priors.
    pub problem: Problem,
}

impl<T: Scalar> Resident<T> {
    /// Converts the problem's data. Half-precision storage rounds each feature as the GPU engine does.
    pub fn new(problem: &Problem, storage: Storage, layout: &Layout) -> Resident<T> {
        let round = |v: f64| match storage {
            Storage::F32 => v,
            Storage::F16 => f16::from_f64(v).to_f64(),
            Storage::Bf16 => bf16::from_f64(v).to_f64(),
        };
        let n = problem.rows();
        let (d, h) = (problem.design_columns(), problem.likelihood.outputs());
        let x = match T::stored(&problem.x) {
            Some(own) if storage == Storage::F32 => Arc::clone(own),
            _ => Arc::new(problem.x.map(|v| T::of(round(v)))),
        };
        let observed: Vec<Observed<T>> = (0..n)
            .map(|i| {
                let o = problem.observed(i);
                Observed {
                    y: T::of(o.y),
                    trials: T::of(o.trials),
                }
            })
            .collect();
        let narrow = |v: &[f64]| -> Vec<T> { v.iter().map(|&v| T::of(v)).collect() };
        let (offset, weights) = (narrow(&problem.offset), narrow(&problem.weights));
        let information: Vec<f64> = (0..problem.parameters())
            .map(|i| problem.priors.get(i).map_or(0.0, |q| q.information()))
            .collect();
        let columns = match T::as_f32(&x) {
            Some(x) if columns::fits(h, d) && problem.network.is_none() && layout.is_full() => {
                let column = |f: fn(&Observed<T>) -> T| -> Vec<f32> {
                    observed.iter().map(|o| f(o).to64() as f32).collect()
                };
                let rows = columns::Rows {
                    x,
                    y: &column(|o| o.y),
                    trials: &column(|o| o.trials),
                    offset: T::as_f32(&offset).unwrap_or_default(),
                    weights: T::as_f32(&weights).unwrap_or_default(),
                };
                Some(Source::new(problem.likelihood.clone(), rows, d))
            }
            _ => None,
        };
        Resident {
            x,
            observed,
            offset,
            weights,
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

    /// Bytes of what [`Resident::new`] makes for a plan.
    pub fn bytes(problem: &Problem, plan: &Plan) -> DataBytes {
        let observed = (size_of::<Observed<T>>() * plan.n) as u64;
        let (prior, start) = prior_bytes(plan);
        DataBytes {
            rows: Resident::<T>::design_bytes(problem, plan) + observed,
            columns: column_bytes::<T>(plan),
            prior,
            start,
        }
    }

    /// Bytes of the design beside the problem's own.
    pub(crate) fn design_bytes(problem: &Problem, plan: &Plan) -> u64 {
        let one = (size_of::<T>() * problem.x.len()) as u64;
        let shared = plan.storage == Storage::F32 && T::stored(&problem.x).is_some();
        let by_columns = T::as_f32(&[]).is_some()
            && columns::fits(plan.h, plan.d)
            && plan.network.is_none()
            && plan.blocks.is_full();
        one * (u64::from(!shared) + u64::from(by_columns))
    }
}

/// Information Λ of the priors in internal coordinates.
#[derive(Debug)]
pub enum Lambda {
    /// The squares of the layout's blocks, one after another.
    Squares(Vec<f64>),
    /// The diagonal, `[P]`: a network's Λ has no other entries.
    Diagonal(Vec<f64>),
}

impl Lambda {
    /// Adds Λ to the squares of the layout's blocks.
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

    /// The diagonal of Λ, `[P]`, where all blocks are of order one.
    pub fn diagonal(&self) -> &[f64] {
        match self {
            Lambda::Squares(lambda) | Lambda::Diagonal(lambda) => lambda,
        }
    }
}
