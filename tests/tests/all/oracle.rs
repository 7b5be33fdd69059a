//! Compares modes, Fisher matrices and Hessians with the references' `check_*` files, which other programs made.

use sngd_core::plan::Plan;
use sngd_cpu::map;
use sngd_tests::cases::{self, Case};
use sngd_tests::refs;

/// Numbers of a small CSV without its header and its column of names.
fn numbers(case: &Case, file: &str) -> Option<Vec<f64>> {
    let path = refs::folder(case.info.folder)?.join(file);
    let text = std::fs::read_to_string(path).ok()?;
    let rows = text.lines().skip(1).flat_map(|l| l.split(',').skip(1));
    Some(rows.filter_map(|c| c.trim().parse().ok()).collect())
}

/// The natural Fisher matrix from the internal one, by the columns of the affine map.
fn natural_fisher(case: &Case, internal: &[f64]) -> Vec<f64> {
    let t = &case.problem.transform;
    let p = t.parameters();
    // B = ∂ω/∂θ, column j by difference of the affine inverse.
    let (mut a, mut b) = (vec![0.0; p], vec![0.0; p]);
    let zero = vec![0.0; p];
    t.internal(&zero, &mut a);
    let columns: Vec<Vec<f64>> = (0..p)
        .map(|j| {
            let mut theta = zero.clone();
            theta[j] = 1.0;
            t.internal(&theta, &mut b);
            b.iter().zip(&a).map(|(x, y)| x - y).collect()
        })
        .collect();
    let mut out = vec![0.0; p * p];
    for r in 0..p {
        for c in 0..p {
            let mut s = 0.0;
            for i in 0..p {
                for j in 0..p {
                    s += columns[r][i] * internal[i * p + j] * columns[c][j];
                }
            }
            out[r * p + c] = s;
        }
    }
    out
}

#[test]
fn modes_and_fisher_matrices_match_the_check_files() {
    let mut seen = 0;
    for info in cases::CASES
        .iter()
        .filter(|c| !c.name.contains("a9a") && !c.name.contains("digits"))
    {
        let Some(case) = cases::load(info.name) else {
            continue;
        };
        let suffix = if info.jeffreys { "_jeffreys" } else { "" };
        let gaussian = info.model.contains("gaussian");
        let tail = if gaussian { "_logsigma" } else { "" };
        let Some(truth) = numbers(&case, &format!("check_map{tail}{suffix}.csv")) else {
            continue;
        };
        let Some(fisher) = numbers(
            &case,
            &format!(
                "check_fisher{}{suffix}.csv",
                if gaussian { "_logsigma" } else { "_map" }
            ),
        ) else {
            continue;
        };
        let plan = Plan::check(&case.config, &case.problem).unwrap();
        let mode = map::find(&case.problem, &plan).unwrap();
        assert!(mode.converged, "{}", info.name);
        let p = plan.p;
        assert_eq!(truth.len(), p, "{}", info.name);
        let mut theta = vec![0.0; p];
        case.problem.transform.natural(&mode.omega, &mut theta);
        for (r, &i) in case.index.iter().enumerate() {
            // The mode in the files is as accurate as their optimiser.
            let error = (theta[i] - truth[r]).abs() / case.reference.sd[r].min(1.0);
            assert!(
                error < 2e-4,
                "{} mode [{r}]: {} {}",
                info.name,
                theta[i],
                truth[r]
            );
        }
        let n = plan.n as f64;
        let scaled: Vec<f64> = mode.fisher.iter().map(|f| f * n).collect();
        let natural = natural_fisher(&case, &scaled);
        for (r, &i) in case.index.iter().enumerate() {
            for (c, &j) in case.index.iter().enumerate() {
                let (got, want) = (natural[i * p + j], fisher[r * p + c]);
                let size = (fisher[r * p + r] * fisher[c * p + c]).sqrt();
                assert!(
                    (got - want).abs() < 1e-3 * size,
                    "{} F[{r},{c}]: {got} {want}",
                    info.name
                );
            }
        }
        seen += 1;
    }
    assert!(
        seen >= 3,
        "only {seen} references with check files were found"
    );
}
