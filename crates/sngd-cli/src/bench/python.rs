//! The Python of the peers and their scripts, where they are installed.

use std::path::PathBuf;

/// An interpreter and a script for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Python {
    /// The interpreter.
    pub program: PathBuf,
    /// The script.
    pub script: PathBuf,
}

/// Finds the interpreter in `peers` under the target folder, and a script of `benches/peers`, both of this checkout.
pub fn find(script: &str) -> anyhow::Result<Python> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let program = if cfg!(windows) {
        target.join("peers/Scripts/python.exe")
    } else {
        target.join("peers/bin/python")
    };
    let script = PathBuf::from("benches/peers").join(script);
    for (path, what) in [(&script, "a script"), (&program, "a Python")] {
        if !path.is_file() {
            anyhow::bail!(
                "found no {}, expected {what} of the peers there; run from the top of a checkout after: cargo xtask peers",
                path.display()
            );
        }
    }
    Ok(Python { program, script })
}
