//! The output of the posterior bench: a table for people, JSON for programs.

use super::contender::{End, Turn};
use super::score::{Errors, spread};
use serde::Serialize;

/// Results of one contender on one problem, over its turns.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// Name of the problem.
    pub problem: &'static str,
    /// Name of the contender.
    pub contender: &'static str,
    /// Whether every turn was within the bounds at its end.
    pub met: bool,
    /// Wall time of each turn until it met the bounds, in seconds; the whole turn where it did not.
    pub seconds: Vec<f64>,
    /// Smallest, median and largest of `seconds`.
    pub spread: Option<[f64; 3]>,
    /// Wall time in seconds at which the bounds would be met, if errors fall with the root of the time; median over turns.
    pub extrapolated: Option<f64>,
    /// The last errors of the worst turn.
    pub errors: Option<Errors>,
    /// Effective sample size per second, median over turns.
    pub ess_per_second: Option<f64>,
    /// Time of the contender, extrapolated where the bounds were not met, divided by that of `sngd`.
    pub over_sngd: Option<f64>,
    /// Why a turn gave no result.
    pub failure: Option<String>,
    /// Wall time in seconds with the errors at that time, of the first turn.
    pub curve: Vec<(f64, Errors)>,
}

impl Line {
    /// Summarises the turns of one contender; at least one.
    pub fn of(problem: &'static str, contender: &'static str, turns: &[Turn]) -> Line {
        let mut seconds = Vec::new();
        let mut guesses = Vec::new();
        let mut failure = None;
        let mut met = !turns.is_empty();
        for turn in turns {
            match &turn.end {
                End::Met(t) => seconds.push(*t),
                End::Short(t, guess) => {
                    met = false;
                    seconds.push(*t);
                    guesses.extend(*guess);
                }
                End::Failed(why) => {
                    met = false;
                    failure = Some(why.clone());
                }
            }
        }
        let last = turns.iter().filter_map(|t| t.curve.last());
        let worst = last.max_by(|a, b| {
            let of = |e: &Errors| (e.excess(), e.mean);
            let (a, b) = (of(&a.1), of(&b.1));
            a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
        });
        let rates: Vec<f64> = turns.iter().filter_map(|t| t.ess_per_second).collect();
        Line {
            problem,
            contender,
            met,
            spread: spread(&seconds),
            seconds,
            extrapolated: spread(&guesses).map(|s| s[1]),
            errors: worst.map(|w| w.1),
            ess_per_second: spread(&rates).map(|s| s[1]),
            over_sngd: None,
            failure,
            curve: turns.first().map_or_else(Vec::new, |t| t.curve.clone()),
        }
    }

    /// Whether the contender only fits: it gives moments without sds.
    fn fit(&self) -> bool {
        self.errors.is_some_and(|e| e.sd.is_none())
    }

    /// The time used for comparison, in seconds: to the bounds, by extrapolation, or that of a fit.
    fn time(&self) -> Option<f64> {
        if self.met || self.fit() {
            self.spread.map(|s| s[1])
        } else {
            self.extrapolated
        }
    }
}

/// Fills in every ratio to `sngd` on the same problem; none where `sngd` did not meet the bounds.
pub fn compare(lines: &mut [Line]) {
    let ours: Vec<(&str, f64)> = lines
        .iter()
        .filter(|l| l.contender == "sngd" && l.met)
        .filter_map(|l| Some((l.problem, l.time()?)))
        .collect();
    for l in lines {
        let base = ours.iter().find(|(p, _)| *p == l.problem);
        l.over_sngd = base.and_then(|(_, base)| Some(l.time()? / base));
    }
}

/// The table, with the machine above and an explanation of its words below.
pub fn table(lines: &[Line], machine: &str) -> String {
    let mut out = format!(
        "{machine}\n{:<15} {:<24} {:>26} {:>12} {:>9} {:>8} {:>10} {:>9}\n",
        "",
        "contender",
        "s to the bound min/med/max",
        "extrapolated",
        "mean, sd",
        "sd, %",
        "ESS/s",
        "over sngd"
    );
    for l in lines {
        out += &format!("{:<15} {:<24} ", l.problem, l.contender);
        if let (Some(why), true) = (&l.failure, l.errors.is_none()) {
            out += &format!("failed: {why}\n");
            continue;
        }
        let times = l.spread.map(|s| s.map(short).join(" / "));
        let times = match times {
            Some(t) if l.met => t,
            Some(_) if l.fit() => format!(
                "fit {}",
                l.spread.map_or(String::new(), |s| s.map(short).join(" / "))
            ),
            _ => format!(
                "not met in {}",
                l.spread.map_or(String::new(), |s| short(s[1]))
            ),
        };
        let or_blank = |v: Option<f64>, f: &dyn Fn(f64) -> String| v.map_or("-".into(), f);
        out += &format!(
            "{times:>26} {:>12} {:>9} {:>8} {:>10} {:>9}\n",
            or_blank(l.extrapolated, &|v| format!("~{}", short(v))),
            or_blank(l.errors.map(|e| e.mean), &|v| format!("{v:.3}")),
            or_blank(l.errors.and_then(|e| e.sd), &|v| format!("{v:.1}")),
            or_blank(l.ess_per_second, &short),
            or_blank(l.over_sngd, &|v| format!(
                "{}{}x",
                if l.met || l.fit() { "" } else { "~" },
                short(v)
            )),
        );
    }
    out += "the bound: every mean within 0.1 sd and every sd within 5 % of the reference; wall time from process start, file on disk\n";
    out += "fit: no sds, the time of the whole fit; ~: extrapolated from the last errors by one over the root of the time spent on draws\n";
    out
}

/// Formats a number with three digits.
fn short(v: f64) -> String {
    let digits = if v.abs() < 1.0 {
        3
    } else if v.abs() < 100.0 {
        2 - v.abs().log10() as usize
    } else {
        0
    };
    format!("{v:.digits$}")
}

/// Describes this machine in one line.
pub fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|l| l.strip_prefix("model name")?.split_once(':'))
        .map_or("an unnamed CPU", |(_, name)| name.trim());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load
        .split_whitespace()
        .next()
        .map_or(String::new(), |l| format!(", load {l} before"));
    format!(
        "{model}, {cores} threads, {} {}, sngd {}{load}",
        std::env::consts::OS,
        std::env::consts::ARCH,
        env!("CARGO_PKG_VERSION")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(end: End, mean: f64, sd: Option<f64>) -> Turn {
        Turn {
            curve: vec![(1.0, Errors { mean, sd })],
            end,
            ess_per_second: Some(10.0),
        }
    }

    fn lines() -> Vec<Line> {
        let met = |t| turn(End::Met(t), 0.05, Some(2.0));
        let mut lines = vec![
            Line::of("p", "sngd", &[met(0.5), met(2.0), met(1.0)]),
            Line::of(
                "p",
                "nuts",
                &[turn(End::Short(60.0, Some(3000.0)), 0.4, Some(20.0))],
            ),
            Line::of("p", "newton", &[turn(End::Short(1.5, None), 0.02, None)]),
            Line::of(
                "p",
                "sgld",
                &[Turn {
                    curve: vec![],
                    end: End::Failed("no JAX".into()),
                    ess_per_second: None,
                }],
            ),
        ];
        compare(&mut lines);
        lines
    }

    #[test]
    fn ratios_are_of_middles_or_extrapolations() {
        let l = lines();
        assert_eq!(l[0].spread, Some([0.5, 1.0, 2.0]));
        let ratios: Vec<_> = l.iter().map(|l| l.over_sngd).collect();
        assert_eq!(ratios, [Some(1.0), Some(3000.0), Some(1.5), None]);
    }

    #[test]
    fn nothing_is_compared_with_a_run_that_fell_short() {
        let mut l = vec![
            Line::of("p", "sngd", &[turn(End::Short(1.0, None), 0.5, Some(2.0))]),
            Line::of("p", "nuts", &[turn(End::Met(5.0), 0.05, Some(2.0))]),
        ];
        compare(&mut l);
        assert!(l.iter().all(|l| l.over_sngd.is_none()));
        assert!(
            table(&l, "").contains("not met in 1.00"),
            "{}",
            table(&l, "")
        );
    }

    #[test]
    fn the_table_tells_what_was_met_guessed_fitted_and_failed() {
        let text = table(&lines(), "a machine");
        let row = |name: &str| text.lines().find(|l| l.contains(name)).unwrap().to_string();
        assert!(row("sngd  ").contains("0.500 / 1.00 / 2.00"), "{text}");
        let nuts = row("nuts");
        assert!(
            nuts.contains("not met in 60.0") && nuts.contains("~3000x"),
            "{nuts}"
        );
        assert!(row("newton").contains("fit 1.50"), "{text}");
        assert!(row("sgld").contains("failed: no JAX"), "{text}");
    }
}
