//! Times reading a table: `cargo run --release -p sngd-store --example time_read -- PATH RESPONSE`.
#![allow(clippy::print_stdout, reason = "an example prints its result")]

use std::path::Path;
use std::time::Instant;

use sngd_core::table::{ResponseKind, TableRequest};
use sngd_store::{DataError, read_table};

fn main() -> Result<(), DataError> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_default();
    let request = TableRequest {
        response: arguments.next().unwrap_or_default(),
        response_kind: ResponseKind::Number,
        features: None,
        trials: None,
        trials_role: "trials",
        offset: None,
        weights: None,
        missing: Default::default(),
    };
    let start = Instant::now();
    let table = read_table(Path::new(&path), &request)?;
    println!(
        "{} rows x {} features in {:.2?}",
        table.rows(),
        table.feature_names.len(),
        start.elapsed()
    );
    Ok(())
}
