//! Writes a small trace of made-up draws: `cargo run --release -p sngd-store --example write_demo_trace -- PATH`.
//!
//! `tests/python/read_trace.py PATH` then reads it with xarray and ArviZ.

use std::path::Path;

use sngd_core::trace::{Dim, DrawBlock, NamedArray, Sink, StatInfo, TraceSchema, Variable};
use sngd_store::{StoreError, TraceWriter};

fn main() -> Result<(), StoreError> {
    let path = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "demo.zarr".into());
    let (chains, parameters) = (4, 8);
    let dim = |name: &str, labels: &[&str]| Dim {
        name: name.into(),
        labels: labels.iter().map(|&label| label.into()).collect(),
    };
    let classes = dim("class", &["setosa", "virginica"]);
    let features = dim("feature", &["petal width", "âge", "x"]);
    let stat = |name: &str, boolean| StatInfo {
        name: name.into(),
        boolean,
    };
    let schema = TraceSchema {
        chains,
        parameters,
        variables: vec![
            Variable {
                name: "intercept".into(),
                dims: vec![],
                index: vec![0],
            },
            Variable {
                name: "weights".into(),
                dims: vec![classes, features.clone()],
                index: (1..7).collect(),
            },
            Variable {
                name: "scale".into(),
                dims: vec![],
                index: vec![7],
            },
        ],
        stats: vec![
            stat("lp", false),
            stat("step_size", false),
            stat("diverging", true),
        ],
        save_warmup: true,
        observed: vec![NamedArray {
            name: "y".into(),
            dims: vec![dim("row", &[])],
            values: vec![0.0, 1.0, 1.0, 0.0],
        }],
        constant: vec![NamedArray {
            name: "X".into(),
            dims: vec![dim("row", &[]), features],
            values: (0..12).map(f64::from).collect(),
        }],
        attributes: vec![
            (
                "run_file".into(),
                r#"{"seed": 1, "run": {"chains": 4}}"#.into(),
            ),
            (
                "target_ledger".into(),
                r#"{"density": "posterior", "temperature": 1.0}"#.into(),
            ),
        ],
    };
    let mut writer = TraceWriter::create(Path::new(&path), schema, true)?;

    // A counter turned into near-Gaussian noise: enough for a summary, no dependency.
    let mut state = 1_u64;
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut blocks = |warmup: bool, sizes: &[usize], writer: &mut TraceWriter| {
        let mut first_draw = 0;
        for &len in sizes {
            let mut block = DrawBlock {
                warmup,
                first_draw,
                len,
                values: vec![],
                stats: vec![],
                predicted: None,
            };
            for draw in 0..len * chains {
                let mut noise = || (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
                block
                    .values
                    .extend((0..parameters - 1).map(|p| p as f64 + noise()));
                block.values.push(1e4 + 1e-3 * noise());
                let lp = if draw % 10 == 0 {
                    -0.5 * noise().powi(2)
                } else {
                    f64::NAN
                };
                block
                    .stats
                    .extend([lp, 0.1, f64::from(u8::from(draw == 5))]);
            }
            writer.block(&block)?;
            first_draw += len;
        }
        Ok::<(), StoreError>(())
    };
    blocks(true, &[30, 40], &mut writer)?;
    blocks(false, &[64, 64, 64, 58], &mut writer)?;
    writer.finish()?;
    // Removes an old demo trace at the path.
    writer.conclude(true);
    Ok(())
}
