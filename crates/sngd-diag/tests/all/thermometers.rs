//! Thermometers, nested R-hat and the Fisher mismatch on distributions whose answers are known.

use crate::common::Normals;
use sngd_diag::{
    DiagError, Draws, fisher_mismatch, law_temperature, nested_rhat, nested_rhat_raw, rhat,
    small_step_temperature, temperature_cost, temperature_covariance,
};

/// A positive definite matrix with correlations, L L', and its lower factor L, whose diagonal is uneven.
fn skewed(p: usize) -> (Vec<f64>, Vec<f64>) {
    let mut l = vec![0.0; p * p];
    for i in 0..p {
        for j in 0..i {
            l[i * p + j] = ((i * 3 + j * 5) % 7) as f64 / 5.0 - 0.6;
        }
        l[i * p + i] = 0.3 + 1.4 * i as f64;
    }
    (product(&l, p), l)
}

/// The product L L'.
fn product(l: &[f64], p: usize) -> Vec<f64> {
    let mut a = vec![0.0; p * p];
    for i in 0..p {
        for j in 0..p {
            a[i * p + j] = (0..p).map(|k| l[i * p + k] * l[j * p + k]).sum();
        }
    }
    a
}

/// Solves L' x = b for lower L: x then has covariance (L L')^-1 if b is white.
fn back_solve(l: &[f64], p: usize, b: &[f64]) -> Vec<f64> {
    let mut x = b.to_vec();
    for i in (0..p).rev() {
        for k in i + 1..p {
            x[i] -= l[k * p + i] * x[k];
        }
        x[i] /= l[i * p + i];
    }
    x
}

/// Blocks [n, C, P] from N(5, T M^-1), autocorrelated by `phi`, and their costs (w-5)'M(w-5)/2.
fn gaussian(seed: u64, n: usize, c: usize, p: usize, t: f64, phi: f64) -> (Vec<f64>, Vec<f64>) {
    let (_, l) = skewed(p);
    let mut normals = Normals(seed);
    let mut white: Vec<Vec<f64>> = (0..c).map(|_| normals.take(p)).collect();
    let (mut block, mut costs) = (Vec::new(), Vec::new());
    for _ in 0..n {
        for z in &mut white {
            for z in z.iter_mut() {
                *z = phi * *z + (1.0 - phi * phi).sqrt() * normals.draw();
            }
            let x = back_solve(&l, p, z);
            block.extend(x.iter().map(|x| 5.0 + t.sqrt() * x));
            costs.push(1e4 + t * z.iter().map(|z| z * z).sum::<f64>() / 2.0);
        }
    }
    (block, costs)
}

#[test]
fn covariance_is_the_trace_to_rounding() {
    let (n, c, p) = (13, 3, 4);
    let (metric, _) = skewed(p);
    let (block, _) = gaussian(1, n, c, p, 1.0, 0.0);
    let rows: Vec<&[f64]> = block.chunks(p).collect();
    let mean: Vec<f64> = (0..p)
        .map(|k| rows.iter().map(|r| r[k]).sum::<f64>() / (n * c) as f64)
        .collect();
    let mut trace = 0.0;
    for i in 0..p {
        for j in 0..p {
            let s = rows
                .iter()
                .map(|r| (r[i] - mean[i]) * (r[j] - mean[j]))
                .sum::<f64>();
            trace += s / (n * c - 1) as f64 * metric[j * p + i];
        }
    }
    let t = temperature_covariance(&block, n, c, p, &metric).expect("shapes fit");
    assert!((t.value / (trace / p as f64) - 1.0).abs() < 1e-12, "{t:?}");

    // Only the lower triangle is read, as the engines write it.
    let mut lower = metric.clone();
    for i in 0..p {
        lower[i * p + i + 1..(i + 1) * p].fill(f64::NAN);
    }
    assert_eq!(temperature_covariance(&block, n, c, p, &lower), Ok(t));

    let single: Vec<f32> = block.iter().map(|&x| x as f32).collect();
    let t32 = temperature_covariance(&single, n, c, p, &metric).expect("shapes fit");
    assert!((t32.value / t.value - 1.0).abs() < 1e-4);
}

/// Over many seeds the error divided by its standard error must be standard normal: a wrong temperature
/// shows in its mean, a wrong standard error in its spread.
#[test]
fn both_thermometers_are_calibrated() {
    let (n, c, p, t, phi, seeds) = (300, 4, 5, 2.5, 0.6, 80);
    let (metric, _) = skewed(p);
    let (mut spread, mut cost) = (Vec::new(), Vec::new());
    for seed in 0..seeds {
        let (block, costs) = gaussian(1000 + seed, n, c, p, t, phi);
        let by_spread = temperature_covariance(&block, n, c, p, &metric).expect("fits");
        let view = Draws::from_block(&costs, n, c, 1, 0).expect("fits");
        let by_cost = temperature_cost(&view, 1e4, p).expect("fits");
        assert_eq!((by_spread.reason, by_cost.reason), (None, None));
        spread.push((by_spread.value - t) / by_spread.mcse);
        cost.push((by_cost.value - t) / by_cost.mcse);
    }
    for (name, z) in [("covariance", spread), ("cost", cost)] {
        let count = z.len() as f64;
        let mean = z.iter().sum::<f64>() / count;
        let sd = (z.iter().map(|z| (z - mean) * (z - mean)).sum::<f64>() / (count - 1.0)).sqrt();
        // Four standard errors of the mean and of the sd of that many normals.
        assert!(mean.abs() < 4.0 / count.sqrt(), "{name}: mean z {mean}");
        assert!(
            (sd - 1.0).abs() < 4.0 / (2.0 * count).sqrt(),
            "{name}: sd of z {sd}"
        );
    }
}

#[test]
fn cost_thermometer_by_hand() {
    let costs = [11.0, 13.0, 12.0, 14.0, 10.5, 13.5, 12.5, 13.5];
    let draws = Draws::chain_major(&costs, 2, 4).expect("fits");
    let t = temperature_cost(&draws, 10.0, 5).expect("fits");
    assert_eq!(t.value, 2.0 * 2.5 / 5.0);
    assert!(temperature_cost(&draws, f64::NAN, 5).is_err());
    assert!(temperature_cost(&draws, 10.0, 0).is_err());
}

/// One-dimensional descent on a quadratic with additive noise, run long enough to compare with the law.
#[test]
fn the_law_is_the_stationary_one() {
    let (n, b, epsilon) = (1000usize, 20usize, 0.8);
    let rho = (n - b) as f64 / (n - 1) as f64;
    let (chains, draws) = (4, 20_000);
    let noise = epsilon * (rho / b as f64).sqrt();
    let mut normals = Normals(7);
    let mut block = Vec::new();
    let mut state = [0.0; 4];
    for step in 0..draws + 100 {
        for x in &mut state {
            *x += -epsilon * *x + noise * normals.draw();
        }
        if step >= 100 {
            block.extend_from_slice(&state);
        }
    }
    let t = temperature_covariance(&block, draws, chains, 1, &[n as f64]).expect("fits");
    let law = law_temperature(epsilon, n, b, rho);
    assert!((t.value - law).abs() < 4.0 * t.mcse, "{t:?} against {law}");
    // The small-step law is 40% off here, and the thermometer must see that.
    let small = small_step_temperature(epsilon, n, b);
    assert!(
        (t.value - small).abs() > 20.0 * t.mcse,
        "{t:?} against {small}"
    );
}

#[test]
fn laws_by_hand() {
    assert_eq!(law_temperature(0.5, 300, 10, 1.0), 10.0);
    assert_eq!(law_temperature(0.5, 300, 300, 0.0), 0.0);
    assert_eq!(law_temperature(0.0, 300, 10, 1.0), 0.0);
    assert_eq!(law_temperature(2.0, 300, 10, 1.0), f64::INFINITY);
    assert!(law_temperature(2.1, 300, 10, 1.0).is_nan());
    assert!(law_temperature(-0.1, 300, 10, 1.0).is_nan());
    assert!(law_temperature(0.5, 300, 0, 1.0).is_nan());
    assert_eq!(small_step_temperature(0.5, 300, 10), 7.5);
    assert!(small_step_temperature(0.5, 300, 0).is_nan());
    let ratio = law_temperature(1e-9, 300, 10, 1.0) / small_step_temperature(1e-9, 300, 10);
    assert!((ratio - 1.0).abs() < 1e-8);
}

#[test]
fn mismatch_of_equals_and_of_multiples() {
    for p in [1, 2, 5, 40] {
        let (fisher, _) = skewed(p);
        let same = fisher_mismatch(&fisher, &fisher, p).expect("positive definite");
        assert!(
            same.frobenius < 1e-9 && (same.largest - 1.0).abs() < 1e-9,
            "{p}: {same:?}"
        );
        let thrice: Vec<_> = fisher.iter().map(|x| 3.0 * x).collect();
        let thrice = fisher_mismatch(&fisher, &thrice, p).expect("positive definite");
        for x in [
            thrice.frobenius - 2.0,
            thrice.largest - 3.0,
            thrice.smallest - 3.0,
        ] {
            assert!(x.abs() < 1e-9, "{p}: {thrice:?}");
        }
    }
}

/// F = L L' and Sigma = L D L' give exactly the eigenvalues D, for any L.
#[test]
fn mismatch_of_known_spectrum() {
    let p = 12;
    let (fisher, l) = skewed(p);
    let d: Vec<f64> = (0..p).map(|i| 0.2 + ((7 * i) % p) as f64 * 0.3).collect();
    let scaled: Vec<f64> = (0..p * p).map(|k| l[k] * d[k % p].sqrt()).collect();
    let mut sigma = product(&scaled, p);
    for i in 0..p {
        sigma[i * p + i + 1..(i + 1) * p].fill(f64::NAN); // never read
    }
    let m = fisher_mismatch(&fisher, &sigma, p).expect("positive definite");
    let rms = (d.iter().map(|d| (d - 1.0) * (d - 1.0)).sum::<f64>() / p as f64).sqrt();
    assert!((m.frobenius - rms).abs() < 1e-10, "{m:?}, rms {rms}");
    assert!((m.smallest - 0.2).abs() < 1e-10, "{m:?}");
    assert!((m.largest - 3.5).abs() < 1e-10, "{m:?}");
}

#[test]
fn mismatch_refuses_what_has_no_factor() {
    let singular = [1.0, 0.0, 1.0, 1.0];
    let error = fisher_mismatch(&singular, &[1.0, 0.0, 0.0, 1.0], 2).expect_err("rank 1");
    assert!(matches!(
        error,
        DiagError::NotPositiveDefinite { pivot: 1, .. }
    ));
    assert_eq!(
        error.to_string(),
        "the Fisher information is not positive definite: pivot 1 is 0e0; add damping or prior \
         precision, or estimate it from more rows than parameters"
    );
    let ratio = fisher_mismatch(&[1e-300], &[1e300], 1);
    assert!(
        matches!(ratio, Err(DiagError::NonFinite { .. })),
        "{ratio:?}"
    );
    let error = fisher_mismatch(&[f64::NAN], &[1.0], 1).expect_err("NaN");
    assert_eq!(
        error.to_string(),
        "the Fisher information [P, P] is NaN at index 0: it must be finite"
    );
    assert!(matches!(
        fisher_mismatch(&[], &[], 0),
        Err(DiagError::Empty { .. })
    ));
    assert!(matches!(
        fisher_mismatch(&[1.0], &[1.0, 2.0], 1),
        Err(DiagError::Length { .. })
    ));
}

#[test]
fn nested_r_hat_is_one_when_groups_agree_and_more_when_they_do_not() {
    let (chains, superchains) = (256, 16);
    for draws in [1, 2, 3, 5, 20] {
        let values = Normals(11).take(chains * draws);
        let view = Draws::chain_major(&values, chains, draws).expect("fits");
        // The paper's expectation for independent draws: B is the variance of a superchain's mean.
        let n = draws as f64;
        let within = if draws == 1 { 1.0 } else { 1.0 + 1.0 / n };
        let expected = (1.0 + 1.0 / (n * 16.0) / within).sqrt();
        let raw = nested_rhat_raw(&view, superchains).expect("deals");
        assert!(
            (raw - expected).abs() < 0.6 * (expected - 1.0),
            "{draws}: {raw}, {expected}"
        );
        let rank = nested_rhat(&view, superchains).expect("deals");
        assert!(rank < 1.08, "{draws}: {rank}");

        // Move each group by a different whole number: chains within a group agree as before.
        let moved: Vec<f64> = (0..values.len())
            .map(|i| values[i] + (i / draws / (chains / superchains)) as f64)
            .collect();
        let view = Draws::chain_major(&moved, chains, draws).expect("fits");
        for apart in [
            nested_rhat(&view, superchains),
            nested_rhat_raw(&view, superchains),
        ] {
            assert!(apart.expect("deals") > 2.0, "{draws}: {apart:?}");
        }
    }
}

/// Groups that differ only in scale: only folding detects them.
#[test]
fn folding_sees_scales() {
    let (chains, draws) = (64, 10);
    let scaled: Vec<f64> = Normals(5)
        .take(chains * draws)
        .iter()
        .enumerate()
        .map(|(i, x)| if i / draws < chains / 2 { *x } else { 5.0 * x })
        .collect();
    let view = Draws::chain_major(&scaled, chains, draws).expect("fits");
    assert!(nested_rhat(&view, 2).expect("deals") > 1.2);
    assert!(nested_rhat_raw(&view, 2).expect("deals") < 1.05);
    assert!(rhat(&view) > 1.2);
}
