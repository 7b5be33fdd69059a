//! A folder with a table and a run file, and the program run in it.

use std::path::PathBuf;
use std::process::{Command, Output};

/// A temporary folder with `data.csv` and `run.toml`.
pub struct Scene {
    dir: tempfile::TempDir,
}

impl Scene {
    /// Writes both files; the data section comes first.
    pub fn new(csv: &str, rest: &str) -> Scene {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("data.csv"), csv).unwrap();
        let text = format!("[data]\npath = \"data.csv\"\nresponse = \"y\"\n{rest}");
        std::fs::write(dir.path().join("run.toml"), text).unwrap();
        Scene { dir }
    }

    /// Path of a file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// The program with these arguments, in the folder.
pub fn command(scene: &Scene, args: &[&str]) -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_sngd"));
    c.args(args).current_dir(scene.path("."));
    c
}

/// Runs it to its end.
pub fn run(scene: &Scene, args: &[&str]) -> Output {
    command(scene, args).output().unwrap()
}

/// A table of two features and a 0/1 response whose classes overlap.
pub fn csv(n: usize) -> String {
    let mut out = String::from("y,a,b\n");
    for i in 0..n {
        let a = ((i * 37 % 101) as f64 / 101.0 - 0.5) * 3.0;
        let b = (i * 53 % 97) as f64 / 97.0 * 10.0;
        let u = (i * 71 % 89) as f64 / 89.0;
        let y = u8::from(u < 1.0 / (1.0 + (-a - 0.2 * (b - 5.0)).exp()));
        out += &format!("{y},{a:.5},{b:.5}\n");
    }
    out
}

/// Whether a run ended with all its draws: converged, or with a verdict of not yet, as these short runs have.
pub fn drawn(code: Option<i32>) -> bool {
    matches!(code, Some(0 | 6))
}
