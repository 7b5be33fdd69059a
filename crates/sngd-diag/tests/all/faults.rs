//! Draws that have no diagnostics: NaN, and one sentence that gives the reason.

use crate::common::Normals;
use sngd_diag::{
    DiagError, Draws, Reason, Summary, Temperature, ess_bulk, ess_mean, ess_quantile, ess_sd,
    ess_tail, hdi, mcse_mean, mcse_sd, nested_rhat, nested_rhat_raw, rhat, summarize,
    summarize_block, summarize_with, temperature_covariance,
};

const CHAINS: usize = 4;
const DRAWS: usize = 100;

fn moving() -> Vec<f64> {
    Normals(1).take(CHAINS * DRAWS)
}

fn row_of(values: &[f64], chains: usize) -> Summary {
    let draws = Draws::chain_major(values, chains, values.len() / chains).expect("fits");
    let row = summarize(&draws);
    if draws.fault().is_some() {
        let none = [
            ess_bulk(&draws),
            ess_tail(&draws),
            ess_mean(&draws),
            ess_sd(&draws),
            ess_quantile(&draws, 0.5),
            mcse_mean(&draws),
            mcse_sd(&draws),
            rhat(&draws),
            row.ess_bulk,
            row.ess_tail,
            row.mcse_mean,
            row.mcse_sd,
            row.rhat,
        ];
        assert!(none.iter().all(|x| x.is_nan()), "{none:?}");
    }
    row
}

fn reason(row: &Summary) -> String {
    row.reason.expect("a reason").to_string()
}

#[test]
fn draws_that_move_need_no_reason() {
    let row = row_of(&moving(), CHAINS);
    assert_eq!(row.reason, None);
    assert!(row.ess_bulk > 100.0 && row.rhat < 1.05);
}

#[test]
fn one_stuck_chain_is_named() {
    let mut values = moving();
    values[2 * DRAWS..3 * DRAWS].fill(0.25);
    let row = row_of(&values, CHAINS);
    assert_eq!(
        reason(&row),
        "chain 2 is stuck at 0.25 for all its 100 draws"
    );
    assert!(row.mean.is_finite() && row.sd.is_finite() && row.hdi_low < row.hdi_high);

    values[3 * DRAWS..].fill(-1.0);
    let row = row_of(&values, CHAINS);
    assert_eq!(
        reason(&row),
        "chain 2 is stuck at 0.25 for all its 100 draws, and so is 1 other chain"
    );
    values[..DRAWS].fill(7.0);
    assert!(
        reason(&row_of(&values, CHAINS))
            .ends_with("chain 0 is stuck at 7 for all its 100 draws, and so are 2 other chains")
    );
}

#[test]
fn chains_stuck_apart_are_stuck_not_constant() {
    let values: Vec<f64> = (0..40).map(|i| f64::from(i / 10)).collect();
    let row = row_of(&values, 4);
    assert_eq!(
        row.reason,
        Some(Reason::Stuck {
            chain: 0,
            value: 0.0,
            draws: 10,
            others: 3
        })
    );
}

#[test]
fn a_constant_quantity_has_no_sample_size() {
    let row = row_of(&[1.5; 40], 4);
    assert_eq!(
        reason(&row),
        "every draw of every chain is 1.5: the quantity never varied"
    );
    assert_eq!(
        (row.mean, row.sd, row.hdi_low, row.hdi_high),
        (1.5, 0.0, 1.5, 1.5)
    );
    // -0 equals 0.
    assert_eq!(
        row_of(&[0.0, -0.0, 0.0, -0.0, 0.0], 1).reason,
        Some(Reason::Constant { value: 0.0 })
    );
}

#[test]
fn a_chain_that_froze_is_named_with_its_draw() {
    let mut values = moving();
    values[DRAWS + 40..2 * DRAWS].fill(9.0);
    let row = row_of(&values, CHAINS);
    assert_eq!(reason(&row), "chain 1 froze at 9 from draw 40 to its end");
    // A shorter constant run is slow mixing, which the numbers themselves show.
    let mut values = moving();
    values[DRAWS + 60..2 * DRAWS].fill(9.0);
    let row = row_of(&values, CHAINS);
    assert_eq!(row.reason, None);
    assert!(row.rhat > 1.05, "{}", row.rhat);
}

#[test]
fn a_draw_that_is_not_finite_is_found() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut values = moving();
        values[3 * DRAWS + 17] = bad;
        let row = row_of(&values, CHAINS);
        assert_eq!(
            reason(&row),
            format!("chain 3 holds {bad} at draw 17, so nothing can be computed")
        );
        for x in [row.mean, row.sd, row.hdi_low, row.hdi_high] {
            assert!(x.is_nan());
        }
    }
}

#[test]
fn few_draws() {
    for draws in 0..4 {
        let values = Normals(2).take(2 * draws);
        let view = Draws::chain_major(&values, 2, draws).expect("fits");
        let row = summarize(&view);
        assert_eq!(row.reason, Some(Reason::TooFewDraws { draws }));
        assert!(row.rhat.is_nan() && row.ess_bulk.is_nan());
        assert_eq!(row.mean.is_nan(), draws == 0);
        assert_eq!(row.sd.is_nan(), draws == 0);
    }
    assert_eq!(
        Reason::TooFewDraws { draws: 3 }.to_string(),
        "3 draws per chain are too few: the diagnostics need at least 4"
    );
}

#[test]
fn one_chain_lacks_r_hat_alone() {
    let row = row_of(&moving(), 1);
    assert_eq!(
        reason(&row),
        "there is one chain, and R-hat compares at least 2"
    );
    assert!(row.rhat.is_nan() && row.ess_bulk > 100.0 && row.mcse_sd > 0.0);
}

#[test]
fn flat_tails_have_no_sample_size() {
    let mut values = vec![1.0; 200];
    for i in [3, 60, 120, 190] {
        values[i] = 0.0;
    }
    let row = row_of(&values, 4);
    assert_eq!(row.reason, Some(Reason::FlatTails { value: 1.0 }));
    assert!(row.ess_tail.is_nan() && row.ess_bulk.is_finite() && row.rhat.is_finite());
}

#[test]
fn balanced_draws_of_two_values() {
    let values: Vec<_> = (0..200)
        .map(|i| if i * 7 % 10 < 5 { 1.0 } else { -1.0 })
        .collect();
    let row = row_of(&values, 4);
    assert_eq!((row.mean, row.mcse_sd, row.reason), (0.0, 0.0, None));
}

#[test]
fn squares_that_overflow_are_reported() {
    let values: Vec<_> = moving().iter().map(|x| x * 1e200).collect();
    let row = row_of(&values, CHAINS);
    assert!(
        matches!(row.reason, Some(Reason::Overflow { .. })),
        "{row:?}"
    );
}

/// ArviZ calls a range below 1e-15 constant and gives it the number of draws.
#[test]
fn the_unit_of_a_quantity_changes_no_sample_size() {
    let one = row_of(&moving(), CHAINS);
    for power in [-400, -60, 60, 400] {
        let unit = 2f64.powi(power);
        let values: Vec<_> = moving().iter().map(|x| x * unit).collect();
        let row = row_of(&values, CHAINS);
        assert_eq!(row.reason, None);
        let ratios = [
            row.mcse_sd / one.mcse_sd / unit,
            row.mcse_mean / one.mcse_mean / unit,
        ];
        for ratio in ratios {
            assert!((ratio - 1.0).abs() < 1e-9, "2^{power}: {ratio}");
        }
        assert_eq!((row.ess_bulk, row.rhat), (one.ess_bulk, one.rhat));
    }
}

#[test]
fn shapes_that_do_not_fit() {
    let values = [0.0; 12];
    let error = Draws::chain_major(&values, 3, 5).expect_err("15 > 12");
    assert_eq!(
        error.to_string(),
        "a view of 3 chains x 5 draws reaches element 14, but the data hold 12"
    );
    assert!(Draws::new(&values, 3, 4, 1, 3, 0).is_ok());
    assert!(Draws::new(&values, 3, 4, 1, 3, 1).is_err());
    assert!(Draws::new(&values, 2, 2, usize::MAX, 1, 1).is_err());
    assert!(Draws::from_block(&values, 2, 3, 2, 2).is_err());
    assert_eq!(
        Draws::new(&values, 0, 4, 1, 1, 0)
            .expect_err("no chains")
            .to_string(),
        "there are no chains: at least one is needed"
    );
    let error = summarize_block(&values, 2, 3, 3, 0.94).expect_err("18 > 12");
    assert_eq!(
        error.to_string(),
        "the block [n, C, P] must hold 18 values, but holds 12"
    );
}

#[test]
fn shares_that_are_none() {
    let values = moving();
    let draws = Draws::chain_major(&values, CHAINS, DRAWS).expect("fits");
    for prob in [0.0, -0.1, 1.1, f64::NAN] {
        let (low, high) = hdi(&draws, prob);
        assert!(low.is_nan() && high.is_nan());
        assert!(summarize_with(&draws, prob).hdi_low.is_nan());
    }
    let all = values
        .iter()
        .copied()
        .fold((f64::MAX, f64::MIN), |(a, b), x| (a.min(x), b.max(x)));
    assert_eq!(hdi(&draws, 1.0), all);
}

#[test]
fn nested_r_hat_of_faulty_draws() {
    let mut values = moving();
    let draws = Draws::chain_major(&values, CHAINS, DRAWS).expect("fits");
    for superchains in [0, 1, 3, 8] {
        assert_eq!(
            nested_rhat(&draws, superchains),
            Err(DiagError::Superchains {
                chains: 4,
                superchains
            })
        );
    }
    let flat = Draws::chain_major(&[2.0; 8], 4, 2).expect("fits");
    assert_eq!(
        nested_rhat_raw(&flat, 2),
        Err(DiagError::Draws(Reason::Constant { value: 2.0 }))
    );
    let single = Draws::chain_major(&values[..4], 4, 1).expect("fits");
    assert!(nested_rhat(&single, 4).is_err());
    assert!(nested_rhat(&single, 2).is_ok());
    values[5] = f64::NAN;
    let draws = Draws::chain_major(&values, CHAINS, DRAWS).expect("fits");
    let error = nested_rhat(&draws, 2).expect_err("a NaN");
    assert_eq!(
        error.to_string(),
        "chain 0 holds NaN at draw 5, so nothing can be computed"
    );
}

#[test]
fn a_thermometer_on_faulty_draws() {
    let mut block = Normals(3).take(50 * 2 * 3);
    let metric = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
    block[(7 * 2 + 1) * 3 + 2] = f64::INFINITY;
    let t = temperature_covariance(&block, 50, 2, 3, &metric).expect("shapes fit");
    let Temperature {
        value,
        mcse,
        reason,
    } = t;
    assert!(value.is_nan() && mcse.is_nan());
    assert_eq!(
        reason,
        Some(Reason::NonFinite {
            chain: 1,
            draw: 7,
            value: f64::INFINITY
        })
    );
}
