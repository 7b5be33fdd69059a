//! Compares the functions of a user-defined likelihood with each other, before anything is sampled.

use super::responses;
use crate::error::Error;
use sngd_core::differences;
use sngd_core::error::CheckError;
use sngd_core::likelihood::{
    Custom, Likelihood, LikelihoodBody, Observed, WgslBody, difference, packed,
};
use sngd_core::philox::{Stream, at, normals_f64, uniform};
use sngd_core::problem::Problem;
use sngd_shaders::Interpreted;
use std::fmt;
use std::time::{Duration, Instant};

/// Relative difference that counts as rounding: a WGSL text has its constants in f32.
const TOLERANCE: f64 = 1e-4;
/// Number of labels drawn to measure a mean.
const LABELS: u32 = 4000;
/// Number of labels that are drawn however long it takes.
const FEW_LABELS: u32 = 250;
/// Number of points at which a sum over all responses is made.
const POINTS: usize = 6;
/// Largest error of such a sum, relative to the largest entry: a density may have a kink.
const SUM_TOLERANCE: f64 = 1e-3;
/// Time after which the checks that need very many calls stop where they are, with a note.
const LONG_ENOUGH: Duration = Duration::from_secs(10);
/// Standard errors beyond which a mean over labels is wrong.
const FAR: f64 = 6.0;

/// The functions of a likelihood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// Log density ln p of a response.
    LogLik,
    /// Score: ∂ ln p/∂η, one entry per output.
    Score,
    /// Fisher information W of the outputs η, or what stands for it.
    Fisher,
    /// Contractions of ∂W/∂η with a matrix.
    Contract,
    /// A response drawn from the model.
    DrawLabel,
    /// Mean response `E[y]`.
    Mean,
    /// Probability of a response up to y.
    Cdf,
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Piece::LogLik => "log_lik",
            Piece::Score => "score",
            Piece::Fisher => "fisher",
            Piece::Contract => "contract",
            Piece::DrawLabel => "draw_label",
            Piece::Mean => "mean",
            Piece::Cdf => "cdf",
        })
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The function that is wrong.
    pub piece: Piece,
    /// Whether the draws would be wrong; if not, the step is only less efficient than it could be.
    pub wrong: bool,
    /// The message, one sentence.
    pub message: String,
}

/// Compares the functions of a likelihood with each other at the responses `rows` and a grid of outputs: `score` with
/// differences of `log_lik`, and `contract` with differences of `fisher`. `fisher` must have no negative direction and
/// equal E[s sᵀ] over drawn labels, or over all responses if the density adds up to one over responses of a known kind.
/// `draw_label` must give `E[s]` = 0, and the WGSL body must agree with the Rust one. At most one finding per function.
///
/// # Errors
/// A WGSL text that does not validate or cannot be evaluated, by file and line.
pub fn check_likelihood(
    likelihood: &Custom,
    rows: &[Observed<f64>],
) -> Result<Vec<Finding>, Error> {
    let outputs = likelihood.linear_outputs + usize::from(likelihood.auxiliary.is_some());
    let grid = grid(likelihood, outputs);
    let check = Check {
        name: &likelihood.name,
        rows,
        grid: &grid,
        until: Instant::now() + LONG_ENOUGH,
    };
    let mut found = check.body(likelihood.body.as_ref());
    let evaluable =
        |body: &dyn LikelihoodBody| body.stopped().map_or(Ok(()), |why| Err(Error::Input(why)));
    evaluable(likelihood.body.as_ref())?;
    if let Some(wgsl) = &likelihood.wgsl
        && !likelihood.body.evaluates(wgsl)
    {
        let evaluated = Interpreted::new(wgsl, outputs, likelihood.linear_outputs)
            .map_err(|e| Error::Input(e.to_string()))?;
        found.extend(check.pair(likelihood.body.as_ref(), &evaluated, wgsl));
        // The device also uses functions that were not compared above.
        if found.is_empty() {
            found.extend(check.contract(&evaluated));
            found.extend(check.labels(&evaluated).unwrap_or_default());
        }
        evaluable(&evaluated)?;
    }
    Ok(found)
}

/// Before a run: returns an error for the first finding that would make draws wrong, else the messages of all others.
pub(crate) fn check_problem(problem: &Problem) -> Result<Vec<String>, Error> {
    let Likelihood::Custom(own) = &problem.likelihood else {
        return Ok(Vec::new());
    };
    let n = problem.rows();
    let stride = n.div_ceil(16).max(1);
    let rows: Vec<_> = (0..n)
        .step_by(stride)
        .map(|i| problem.observed(i))
        .collect();
    let mut found = check_likelihood(own, &rows)?;
    if let Some(f) = found.iter().find(|f| f.wrong) {
        return Err(CheckError::Likelihood {
            message: f.message.clone(),
        }
        .into());
    }
    // Every response, at one η: a device may compute a finite number for a response without a density.
    let eta = vec![0.1; problem.likelihood.outputs()];
    let until = Instant::now() + LONG_ENOUGH;
    for i in 0..n {
        if Instant::now() >= until {
            found.push(Finding {
                piece: Piece::LogLik,
                wrong: false,
                message: format!(
                    "{}: log_lik was tried at the first {i} of {n} responses, since it is slow on the CPU; shorten its loops, or give a body in Rust",
                    own.name
                ),
            });
            break;
        }
        let (obs, value) = (
            problem.observed(i),
            own.body.log_lik(&eta, problem.observed(i)),
        );
        if let Some(why) = own.body.stopped() {
            return Err(CheckError::Likelihood { message: why }.into());
        }
        if !value.is_finite() {
            return Err(CheckError::data(
                &problem.source,
                format!(
                    "response {} of those fitted: found log_lik = {value} at {}, expected a finite number for every response; leave such rows out or correct log_lik",
                    i + 1,
                    place(&eta, Some(obs))
                ),
            )
            .into());
        }
    }
    Ok(found.into_iter().map(|f| f.message).collect())
}

/// Outputs to try: each linear one differs between −1.6 and 1.6; the log parameter is around 0.
fn grid(likelihood: &Custom, outputs: usize) -> Vec<Vec<f64>> {
    let aux = [-0.7, 0.1, 0.6];
    let linear = |i: usize, k: usize| {
        let u = uniform(at(2, Stream::Label, k as u32, i as u32, 0)[0]);
        // Three decimals, so that a message shows the number itself.
        (3200.0 * u - 1600.0).round() / 1000.0
    };
    (0..18)
        .map(|i| {
            (0..outputs)
                .map(|k| match k < likelihood.linear_outputs {
                    true => linear(i, k),
                    false => aux[i % aux.len()],
                })
                .collect()
        })
        .collect()
}

struct Check<'a> {
    name: &'a str,
    rows: &'a [Observed<f64>],
    grid: &'a [Vec<f64>],
    /// When the checks of very many calls stop.
    until: Instant,
}

fn differ(found: f64, expected: f64, scale: f64) -> bool {
    let apart = (found - expected).abs();
    apart.is_nan() || apart > TOLERANCE * (1.0 + expected.abs().max(scale))
}

impl Check<'_> {
    fn finding(&self, piece: Piece, wrong: bool, text: String) -> Finding {
        Finding {
            piece,
            wrong,
            message: format!("{}: {text}", self.name),
        }
    }

    fn points(&self) -> impl Iterator<Item = (&[f64], Observed<f64>)> {
        let rows = self.rows;
        self.grid
            .iter()
            .flat_map(move |eta| rows.iter().map(move |obs| (eta.as_slice(), *obs)))
    }

    /// Compares the functions of one body with each other.
    fn body(&self, body: &dyn LikelihoodBody) -> Vec<Finding> {
        let checks = [self.score(body), self.fisher(body), self.contract(body)];
        let mut found: Vec<Finding> = checks.into_iter().flatten().collect();
        // The next checks rely on scores, so the scores have to be right first.
        if found.is_empty() {
            found.extend(self.labels(body).unwrap_or_else(|| self.responses(body)));
        }
        found
    }

    /// Checks E[s sᵀ] = W over all responses.
    fn responses(&self, body: &dyn LikelihoodBody) -> Vec<Finding> {
        let grid = &self.grid[..self.grid.len().min(POINTS)];
        let Some(all) = responses::information(body, grid, self.rows, self.until) else {
            return self.cut_short(0, grid.len()).into_iter().collect();
        };
        for (eta, expected) in grid.iter().zip(&all) {
            let mut w = vec![0.0; expected.len()];
            body.fisher(eta, self.rows[0].trials, &mut w);
            let size = expected.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
            let far = |i: &usize| (w[*i] - expected[*i]).abs() > SUM_TOLERANCE * size;
            if let Some(i) = (0..w.len()).find(far) {
                return vec![self.stand_in(i, w[i], eta, expected[i], "all responses")];
            }
        }
        Vec::new()
    }

    /// A note where the time was over: at how many points means were compared.
    fn cut_short(&self, points: usize, of: usize) -> Option<Finding> {
        (Instant::now() >= self.until).then(|| {
            let text = format!(
                "means over responses were compared at {points} of {of} points, since the functions are slow on the CPU; shorten their loops, or give a body in Rust"
            );
            self.finding(Piece::LogLik, false, text)
        })
    }

    /// The finding for a W that is not E[s sᵀ], which may be intended.
    fn stand_in(&self, i: usize, w: f64, eta: &[f64], mean: f64, over: &str) -> Finding {
        let text = format!(
            "found {w:.4} for fisher's entry {i} at {}, and E[s sᵀ] over {over} {mean:.4}: a posterior stays what it is and steps may be shorter, a target of \"jeffreys\" is another",
            place(eta, None)
        );
        self.finding(Piece::Fisher, false, text)
    }

    fn score(&self, body: &dyn LikelihoodBody) -> Option<Finding> {
        const STEP: f64 = 1e-4;
        for (eta, obs) in self.points() {
            let value = body.log_lik(eta, obs);
            let place = place(eta, Some(obs));
            if !value.is_finite() {
                let text = format!(
                    "found log_lik = {value} at {place}, expected a finite number for every response of the data; correct log_lik or leave such rows out"
                );
                return Some(self.finding(Piece::LogLik, true, text));
            }
            let mut score = vec![0.0; eta.len()];
            body.score(eta, obs, &mut score);
            for k in 0..eta.len() {
                let mut moved = eta.to_vec();
                let along = |x| {
                    moved[k] = x;
                    body.log_lik(&moved, obs)
                };
                let slope = differences::slope(along, eta[k], STEP);
                // log_lik is only as smooth as its f32 constants are close to the exact numbers.
                if differ(score[k], slope, 1e-7 * value.abs() / STEP) {
                    let text = format!(
                        "found score[{k}] = {:.6} at {place}, expected {slope:.6}, the slope of log_lik in eta[{k}]; correct score, or log_lik if that is the wrong one",
                        score[k]
                    );
                    return Some(self.finding(Piece::Score, true, text));
                }
            }
        }
        None
    }

    fn fisher(&self, body: &dyn LikelihoodBody) -> Option<Finding> {
        for (eta, obs) in self.points() {
            let h = eta.len();
            let mut w = vec![0.0; h * (h + 1) / 2];
            body.fisher(eta, obs.trials, &mut w);
            if let Some(bad) = w.iter().find(|v| !v.is_finite()) {
                let text = format!(
                    "found {bad} in fisher at {}, expected finite numbers; correct fisher",
                    place(eta, Some(obs))
                );
                return Some(self.finding(Piece::Fisher, true, text));
            }
            if let Some(pivot) = negative_pivot(&w, h) {
                let text = format!(
                    "found a fisher with the pivot {pivot:.4} at {}, expected a positive semi-definite W; correct fisher",
                    place(eta, Some(obs))
                );
                return Some(self.finding(Piece::Fisher, true, text));
            }
        }
        None
    }

    fn contract(&self, body: &dyn LikelihoodBody) -> Option<Finding> {
        for (eta, obs) in self.points() {
            let h = eta.len();
            // An arbitrary matrix without special structure.
            let lever: Vec<f64> = (0..h * (h + 1) / 2).map(|i| 1.0 - 0.3 * i as f64).collect();
            let (mut v, mut d) = (vec![0.0; h], vec![0.0; h]);
            let (mut volume, mut divergence) = (v.clone(), v.clone());
            body.contract(eta, obs.trials, &lever, &mut v, &mut d);
            let fisher = |e: &[f64], w: &mut [f64]| body.fisher(e, obs.trials, w);
            difference(fisher, eta, &lever, &mut volume, &mut divergence);
            let all = |a: &[f64], b: &[f64]| a.iter().chain(b).copied().collect::<Vec<_>>();
            let (own, expected) = (all(&v, &d), all(&volume, &divergence));
            let size = expected.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
            if let Some(i) = (0..2 * h).find(|&i| differ(own[i], expected[i], size)) {
                let text = format!(
                    "found {}[{}] = {:.6} in contract at {}, expected {:.6}, the slope of fisher; correct contract, or leave it out",
                    if i < h { "volume" } else { "divergence" },
                    i % h,
                    own[i],
                    place(eta, Some(obs)),
                    expected[i]
                );
                return Some(self.finding(Piece::Contract, true, text));
            }
        }
        None
    }

    /// Checks E[s] = 0, E[s sᵀ] = W, E[y] = mean and the share of labels up to the first response = cdf over drawn labels; `None` if
    /// the body draws none.
    fn labels(&self, body: &dyn LikelihoodBody) -> Option<Vec<Finding>> {
        let mut found = Vec::new();
        let first = self.rows.first()?;
        for (index, eta) in self.grid.iter().enumerate() {
            if let Some(note) = self.cut_short(index, self.grid.len()) {
                found.push(note);
                break;
            }
            let h = eta.len();
            let hh = h * (h + 1) / 2;
            let mut w = vec![0.0; hh];
            body.fisher(eta, first.trials, &mut w);
            // Sums and sums of squares of s, s sᵀ, y and whether y is up to the first response.
            let mut sums = vec![(0.0, 0.0); h + hh + 2];
            let mut score = vec![0.0; h];
            let mut drawn = 0;
            for i in 0..LABELS {
                // A mean over a few hundred labels still finds what is badly wrong.
                if i >= FEW_LABELS && Instant::now() >= self.until {
                    break;
                }
                drawn += 1;
                let bits = at(1, Stream::Label, index as u32, i, 0);
                let mut more = {
                    let mut count = 0;
                    move || {
                        count += 1;
                        uniform(at(1, Stream::Label, index as u32, i, count)[0])
                    }
                };
                let (u, z) = (uniform(bits[0]), normals_f64(bits)[2]);
                let y = body.draw_label(eta, first.trials, u, z, &mut more)?;
                let obs = Observed {
                    y,
                    trials: first.trials,
                };
                body.score(eta, obs, &mut score);
                let mut add = |j: usize, v: f64| {
                    sums[j].0 += v;
                    sums[j].1 += v * v;
                };
                for k in 0..h {
                    add(k, score[k]);
                    for l in 0..=k {
                        add(h + packed(k, l), score[k] * score[l]);
                    }
                }
                add(h + hh, y);
                add(h + hh + 1, f64::from(u8::from(y <= first.y)));
            }
            let n = f64::from(drawn);
            // Rare labels may never be drawn: W then gives the spread of a score.
            let floor = |j: usize| if j < h { w[packed(j, j)].max(0.0) } else { 0.0 };
            let far = |j: usize, expected: f64| -> Option<f64> {
                let mean = sums[j].0 / n;
                let spread = (sums[j].1 / n - mean * mean).max(floor(j));
                if spread <= 0.0 {
                    return None;
                }
                let error = (spread / n).sqrt();
                let near = (mean - expected).abs() <= FAR * error + 1e-9 * (1.0 + expected.abs());
                (!near).then_some(mean)
            };
            let place = place(eta, None);
            if let Some((k, mean)) = (0..h).find_map(|k| Some((k, far(k, 0.0)?))) {
                let text = format!(
                    "found a mean score[{k}] of {mean:.4} over labels drawn at {place}, expected 0; correct draw_label"
                );
                found.push(self.finding(Piece::DrawLabel, true, text));
                return Some(found);
            }
            let known = found.iter().any(|f| f.piece == Piece::Fisher);
            if let Some((i, mean)) = (0..hh).find_map(|i| Some((i, far(h + i, w[i])?)))
                && !known
            {
                found.push(self.stand_in(i, w[i], eta, mean, "drawn labels"));
            }
            if let Some(mean) = body.mean(eta, first.trials)
                && let Some(drawn) = far(h + hh, mean)
                && !found.iter().any(|f| f.piece == Piece::Mean)
            {
                let text = format!(
                    "found mean = {mean:.4} at {place}, expected {drawn:.4}, that of drawn labels; correct mean"
                );
                found.push(self.finding(Piece::Mean, true, text));
            }
            if let Some(cdf) = body.cdf(eta, *first)
                && let Some(drawn) = far(h + hh + 1, cdf)
                && !found.iter().any(|f| f.piece == Piece::Cdf)
            {
                let text = format!(
                    "found cdf = {cdf:.4} at {place}, y = {}, expected {drawn:.4}, the share of drawn labels up to y; correct cdf",
                    first.y
                );
                found.push(self.finding(Piece::Cdf, true, text));
            }
        }
        Some(found)
    }

    /// Compares the WGSL text with the Rust body.
    fn pair(
        &self,
        body: &dyn LikelihoodBody,
        wgsl: &dyn LikelihoodBody,
        text: &WgslBody,
    ) -> Vec<Finding> {
        let mut found: Vec<Finding> = Vec::new();
        let mut note = |piece: Piece, place: String, own: f64, other: f64, size: f64| {
            if differ(other, own, size) && !found.iter().any(|f| f.piece == piece) {
                let message = format!(
                    "{piece} is {own:.6} in the Rust body and {other:.6} in {} at {place}, expected the same; correct one of them",
                    text.file
                );
                found.push(self.finding(piece, true, message));
            }
        };
        for (eta, obs) in self.points() {
            let h = eta.len();
            let place = || place(eta, Some(obs));
            let (a, b) = (body.log_lik(eta, obs), wgsl.log_lik(eta, obs));
            note(Piece::LogLik, place(), a, b, 0.0);
            let (mut s, mut t) = (vec![0.0; h], vec![0.0; h]);
            body.score(eta, obs, &mut s);
            wgsl.score(eta, obs, &mut t);
            let size = s.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
            (0..h).for_each(|k| note(Piece::Score, place(), s[k], t[k], size));
            let (mut v, mut w) = (vec![0.0; h * (h + 1) / 2], vec![0.0; h * (h + 1) / 2]);
            body.fisher(eta, obs.trials, &mut v);
            wgsl.fisher(eta, obs.trials, &mut w);
            let size = v.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
            (0..v.len()).for_each(|i| note(Piece::Fisher, place(), v[i], w[i], size));
            let (v, w) = (body.mean(eta, obs.trials), wgsl.mean(eta, obs.trials));
            if let (Some(v), Some(w)) = (v, w) {
                note(Piece::Mean, place(), v, w, 0.0);
            }
            if let (Some(v), Some(w)) = (body.cdf(eta, obs), wgsl.cdf(eta, obs)) {
                note(Piece::Cdf, place(), v, w, 1.0);
            }
        }
        found
    }
}

/// The first pivot of a Cholesky factorisation that is below zero by more than rounding.
fn negative_pivot(w: &[f64], h: usize) -> Option<f64> {
    let mut l = vec![0.0; h * h];
    let top = (0..h).fold(0.0, |m: f64, k| m.max(w[packed(k, k)].abs()));
    for i in 0..h {
        for j in 0..=i {
            let dot: f64 = (0..j).map(|k| l[i * h + k] * l[j * h + k]).sum();
            let rest = w[packed(i, j)] - dot;
            if i == j {
                if rest < -1e-6 * top.max(1e-30) {
                    return Some(rest);
                }
                l[i * h + i] = rest.max(0.0).sqrt();
            } else {
                let pivot = l[j * h + j];
                if pivot <= 0.0 && rest.abs() > 1e-6 * top {
                    return Some(-rest.abs());
                }
                l[i * h + j] = if pivot > 0.0 { rest / pivot } else { 0.0 };
            }
        }
    }
    None
}

fn place(eta: &[f64], obs: Option<Observed<f64>>) -> String {
    let shown: Vec<String> = eta.iter().map(|e| format!("{e}")).collect();
    let at = format!("eta = [{}]", shown.join(", "));
    match obs {
        Some(o) => format!("{at}, y = {}, companion = {}", o.y, o.trials),
        None => at,
    }
}
