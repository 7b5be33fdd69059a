//! Compares every diagnostic with ArviZ, on the draws of `data/arviz.json` (see `arviz_fixture.py`).

use serde_json::Value;
use sngd_diag::{
    Draws, Reason, ess_bulk, ess_mean, ess_quantile, ess_sd, ess_tail, hdi, mcse_mean, mcse_sd,
    mean, nested_rhat, nested_rhat_raw, quantile, rhat, sd, summarize, summarize_block,
};

const TOLERANCE: f64 = 1e-6;

struct Set {
    name: String,
    chains: usize,
    draws: usize,
    values: Vec<f64>,
    arviz: Value,
}

impl Set {
    fn view(&self) -> Draws<'_> {
        Draws::chain_major(&self.values, self.chains, self.draws).expect("the fixture fits")
    }

    /// ArviZ's value; NaN if the fixture has null.
    fn expected(&self, what: &str) -> f64 {
        let value = &self.arviz[what];
        assert!(
            value.is_null() || value.is_f64(),
            "{}: no {what}",
            self.name
        );
        value.as_f64().unwrap_or(f64::NAN)
    }

    fn check(&self, what: &str, ours: f64) {
        self.same(what, ours, self.expected(what));
    }

    fn same(&self, what: &str, ours: f64, theirs: f64) {
        if theirs.is_nan() {
            assert!(ours.is_nan(), "{}: {what} is {ours}, not NaN", self.name);
        } else {
            let error = (ours - theirs).abs();
            let allowed = TOLERANCE * theirs.abs();
            assert!(
                error <= allowed,
                "{}: {what} is {ours}, not {theirs}",
                self.name
            );
        }
    }
}

fn sets() -> Vec<Set> {
    let file: Value = serde_json::from_str(include_str!("../data/arviz.json")).expect("valid JSON");
    let sets: Vec<_> = file["sets"]
        .as_array()
        .expect("sets")
        .iter()
        .map(|set| {
            let rows: Vec<Vec<f64>> =
                serde_json::from_value(set["draws"].clone()).expect("a table of draws");
            Set {
                name: set["name"].as_str().expect("a name").to_owned(),
                chains: rows.len(),
                draws: rows[0].len(),
                values: rows.concat(),
                arviz: set["arviz"].clone(),
            }
        })
        .collect();
    assert_eq!(sets.len(), 25);
    sets
}

#[test]
fn each_function_gives_what_arviz_gives() {
    for set in sets() {
        let draws = set.view();
        assert_eq!(draws.fault(), None, "{}", set.name);
        set.check("mean", mean(&draws));
        set.check("sd", sd(&draws));
        set.check("rhat", rhat(&draws));
        set.check("ess_bulk", ess_bulk(&draws));
        set.check("ess_tail", ess_tail(&draws));
        set.check("ess_mean", ess_mean(&draws));
        set.check("ess_sd", ess_sd(&draws));
        set.check("mcse_mean", mcse_mean(&draws));
        set.check("mcse_sd", mcse_sd(&draws));
    }
}

#[test]
fn ess_of_a_quantile_is_nan_where_arviz_counts_draws() {
    let mut refused = 0;
    for set in sets() {
        let draws = set.view();
        let median = quantile(&draws, 0.5);
        if median == quantile(&draws, 1.0) {
            refused += 1;
            assert!(ess_quantile(&draws, 0.5).is_nan(), "{}", set.name);
            assert_eq!(set.expected("ess_median"), (set.chains * set.draws) as f64);
        } else {
            set.check("ess_median", ess_quantile(&draws, 0.5));
        }
    }
    assert_eq!(refused, 1);
}

#[test]
fn intervals_and_quantiles() {
    for set in sets() {
        let draws = set.view();
        for row in set.arviz["hdi"].as_array().expect("intervals") {
            let row: [f64; 3] = serde_json::from_value(row.clone()).expect("prob, low, high");
            // The ends are draws, so they are the same to the bit.
            assert_eq!(hdi(&draws, row[0]), (row[1], row[2]), "{}", set.name);
        }
        for row in set.arviz["quantile"].as_array().expect("quantiles") {
            let row: [f64; 2] = serde_json::from_value(row.clone()).expect("prob, value");
            set.same("quantile", quantile(&draws, row[0]), row[1]);
        }
    }
}

#[test]
fn nested() {
    for set in sets() {
        let draws = set.view();
        for (superchains, rank, raw) in [
            (2, "nested_rank_2", "nested_raw_2"),
            (4, "nested_rank_4", "nested_raw_4"),
        ] {
            if set.chains.is_multiple_of(superchains) {
                set.check(rank, nested_rhat(&draws, superchains).expect("deals"));
                set.check(raw, nested_rhat_raw(&draws, superchains).expect("deals"));
            }
        }
    }
}

/// The summary computes several numbers together; each must equal the result of its function.
#[test]
fn a_row_holds_the_functions_of_its_names() {
    for set in sets() {
        let draws = set.view();
        let row = summarize(&draws);
        let (low, high) = hdi(&draws, 0.94);
        let pairs = [
            ("mean", row.mean, mean(&draws)),
            ("sd", row.sd, sd(&draws)),
            ("mcse_mean", row.mcse_mean, mcse_mean(&draws)),
            ("mcse_sd", row.mcse_sd, mcse_sd(&draws)),
            ("hdi_low", row.hdi_low, low),
            ("hdi_high", row.hdi_high, high),
            ("ess_bulk", row.ess_bulk, ess_bulk(&draws)),
            ("ess_tail", row.ess_tail, ess_tail(&draws)),
            ("rhat", row.rhat, rhat(&draws)),
        ];
        for (what, together, alone) in pairs {
            assert_eq!(together.to_bits(), alone.to_bits(), "{}: {what}", set.name);
        }
        let reason = (set.chains == 1).then_some(Reason::OneChain);
        assert_eq!(row.reason, reason, "{}", set.name);
    }
}

/// A block [n, C, P] of three quantities is read in place, at either precision.
#[test]
fn a_block_is_read_with_strides() {
    let all = sets();
    let set = all
        .iter()
        .find(|s| s.name == "counts")
        .expect("integers, exact in f32");
    let (n, c, p) = (set.draws, set.chains, 3);
    let mut block = vec![0.0; n * c * p];
    for draw in 0..n {
        for chain in 0..c {
            for k in 0..p {
                let value = set.values[chain * n + draw];
                block[(draw * c + chain) * p + k] = value * [1.0, -2.0, 0.5][k] + k as f64;
            }
        }
    }
    let single: Vec<f32> = block.iter().map(|&x| x as f32).collect();
    let rows = summarize_block(&block, n, c, p, 0.94).expect("shapes fit");
    assert_eq!(rows[0], summarize(&set.view()));
    assert_eq!(
        rows,
        summarize_block(&single, n, c, p, 0.94).expect("shapes fit")
    );
    set.same("ess_bulk", rows[2].ess_bulk, set.expected("ess_bulk"));
    set.same("mean", rows[1].mean, 1.0 - 2.0 * set.expected("mean"));
    set.same("mcse_sd", rows[1].mcse_sd, 2.0 * set.expected("mcse_sd"));
}
