//! Does a network say more of the response than one number would? A learning curve that stays flat, or predictions that stay at the prior's mean, show
//! in no r-hat.

use crate::dense::Factor;
use crate::forward::Forward;
use faer::Par;
use sngd_core::likelihood::packed;
use sngd_core::problem::Problem;

/// Rows that are looked at together, and most of such blocks, spread evenly over the data.
const BLOCK: usize = 64;
const BLOCKS: usize = 16;
/// Steps of the search for the constant outputs.
const STEPS: usize = 30;

/// Log likelihood per row of the last draws `[C,P]` (internal coordinates), in nats above that of the best constant outputs, averaged over chains; on
/// a part of the rows where there are many. `None` for linear predictors, which r-hat and thermometers judge.
pub fn of_network(problem: &Problem, last: &[f64]) -> Option<f64> {
    problem.network.as_ref()?;
    let (n, p, h) = (
        problem.rows(),
        problem.parameters(),
        problem.likelihood.outputs(),
    );
    let blocks = n.div_ceil(BLOCK).min(BLOCKS);
    let first = |b: usize| b * n / blocks;
    let rows: Vec<usize> = (0..blocks)
        .flat_map(|b| first(b)..(first(b) + BLOCK).min(n))
        .collect();
    let constant = constant(problem, &rows);
    let mut forward = Forward::new(problem);
    let (mut total, mut count) = (0.0, 0.0);
    for omega in last.chunks_exact(p) {
        for b in 0..blocks {
            let m = BLOCK.min(n - first(b));
            let mut eta = vec![0.0; m * h];
            forward.outputs(omega, &problem.x, first(b), &mut eta);
            for (i, eta) in (first(b)..).zip(eta.chunks_exact_mut(h)) {
                if let Some(o) = problem.offset.get(i) {
                    eta[0] += o;
                }
                total += row(problem, i, eta, &mut vec![0.0; h]);
                count += 1.0;
            }
        }
    }
    (count > 0.0).then(|| total / count - constant)
}

/// ln p of row i at outputs `eta` `[H]`, in nats; writes the scores `[H]`.
fn row(problem: &Problem, i: usize, eta: &[f64], score: &mut [f64]) -> f64 {
    problem
        .likelihood
        .log_lik_and_score(eta, problem.observed(i), score)
}

/// Largest log likelihood per row that outputs which are the same for all rows give, by Fisher scoring.
fn constant(problem: &Problem, rows: &[usize]) -> f64 {
    let h = problem.likelihood.outputs();
    let at = |eta: &[f64], gradient: &mut [f64], matrix: &mut [f64]| -> f64 {
        gradient.fill(0.0);
        matrix.fill(0.0);
        let (mut score, mut w) = (vec![0.0; h], vec![0.0; h * (h + 1) / 2]);
        let mut shifted = eta.to_vec();
        let mut total = 0.0;
        for &i in rows {
            shifted[0] = eta[0] + problem.offset.get(i).copied().unwrap_or(0.0);
            total += row(problem, i, &shifted, &mut score);
            problem
                .likelihood
                .fisher(&shifted, problem.observed(i).trials, &mut w);
            gradient.iter_mut().zip(&score).for_each(|(g, s)| *g += s);
            for j in 0..h {
                for k in 0..h {
                    matrix[j * h + k] += w[packed(j.min(k), j.max(k))];
                }
            }
        }
        // Outputs of a softmax without a baseline may be shifted together.
        (0..h).for_each(|j| matrix[j * (h + 1)] += 1e-6 * rows.len() as f64);
        total
    };
    let (mut eta, mut gradient, mut matrix) = (vec![0.0; h], vec![0.0; h], vec![0.0; h * h]);
    let mut best = at(&eta, &mut gradient, &mut matrix);
    let mut factor = Factor::new(h);
    for _ in 0..STEPS {
        if factor.factor(&matrix, 1e-9, 5, Par::Seq).is_err() {
            break;
        }
        let mut step = gradient.clone();
        factor.solve(&mut step);
        let mut length = 1.0;
        let next = loop {
            let there: Vec<f64> = eta.iter().zip(&step).map(|(e, s)| e + length * s).collect();
            let value = at(&there, &mut gradient, &mut matrix);
            if value >= best {
                break Some((there, value));
            }
            length *= 0.5;
            if length < 1e-6 {
                break None;
            }
        };
        let Some((there, value)) = next else { break };
        let gained = value - best;
        (eta, best) = (there, value);
        if gained < 1e-9 * (1.0 + best.abs()) {
            break;
        }
    }
    best / rows.len() as f64
}
