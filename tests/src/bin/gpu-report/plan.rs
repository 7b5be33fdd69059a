//! The steps of a report: which program of the pack each runs, and for how long at most.

use crate::read::Adapter;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The folder that `cargo xtask gpu-pack` made.
pub struct Pack {
    root: PathBuf,
}

impl Pack {
    /// The pack whose `bin` holds this program.
    pub fn around_this_program() -> Result<Pack, String> {
        let me = std::env::current_exe().map_err(|e| format!("this program has no path: {e}"))?;
        let root = me.parent().and_then(Path::parent);
        let root = root.filter(|r| r.join("run.sh").is_file()).ok_or(format!(
            "{} is in no pack, expected it in the folder bin beside run.sh; make one with `cargo xtask gpu-pack`",
            me.display()
        ))?;
        Ok(Pack { root: root.into() })
    }

    /// A file or folder of the pack.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// One of its programs.
    pub fn program(&self, name: &str) -> PathBuf {
        let file = self.root.join("bin").join(name);
        file.with_extension(std::env::consts::EXE_EXTENSION)
    }
}

/// What a step is about, which decides how its output is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Adapters, limits, features, self-tests.
    Devices,
    /// Tests of the GPU engine.
    Suite,
    /// A reference posterior.
    Posterior,
    /// The rate of a workload.
    Workload,
    /// The stages of a workload's step.
    Stages,
    /// JAX on a workload.
    Jax,
}

impl Group {
    /// Its name in report.json.
    pub fn name(self) -> &'static str {
        match self {
            Group::Devices => "devices",
            Group::Suite => "suite",
            Group::Posterior => "posterior",
            Group::Workload => "workload",
            Group::Stages => "stages",
            Group::Jax => "jax",
        }
    }
}

/// One step, a row of the report.
#[derive(Debug, Clone)]
pub struct Step {
    /// Name of the row.
    pub name: String,
    /// What it is about.
    pub group: Group,
    /// Most time.
    pub limit: Duration,
    /// Why it cannot run here, if so.
    pub left_out: Option<String>,
    program: PathBuf,
    arguments: Vec<String>,
    variables: Vec<(&'static str, &'static str)>,
}

impl Step {
    /// A step that runs a program with these words as its arguments.
    fn new(name: String, group: Group, seconds: u64, program: PathBuf, words: &str) -> Step {
        Step {
            name,
            group,
            limit: Duration::from_secs(seconds),
            left_out: None,
            program,
            arguments: words.split_whitespace().map(str::to_owned).collect(),
            variables: Vec::new(),
        }
    }

    /// Has `sngd` use the adapter of that name; without a name, its own choice.
    fn on(mut self, device: Option<&str>) -> Step {
        if let Some(name) = device {
            self.arguments.extend(["--device".into(), name.to_owned()]);
        }
        self
    }

    /// Leaves it out where something that it needs is missing.
    fn unless(mut self, missing: Option<String>) -> Step {
        self.left_out = missing;
        self
    }

    /// The command that it runs.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .envs(self.variables.iter().copied());
        command
    }

    /// Its name as a file's: letters, digits and dashes.
    pub fn file_name(&self) -> String {
        let plain = |c: char| if c.is_alphanumeric() { c } else { '-' };
        self.name.chars().map(plain).collect()
    }
}

/// The suites of the GPU engine as filters of its tests, each with the most seconds it may take.
const SUITES: [(&str, u64); 7] = [
    ("engine::", 45),
    ("stages::", 45),
    ("parity::", 60),
    ("parity_networks::", 60),
    ("mode::", 60),
    ("held::", 30),
    ("memory::", 30),
];

/// Reference posteriors, and the folder of each under the references.
const POSTERIORS: [(&str, &str); 3] = [
    ("gc_german", "glm/gc_german"),
    ("a9a", "glm/a9a_logistic"),
    ("digits_softmax", "glm/digits_softmax"),
];

/// Workloads whose rates are measured, each with the most seconds it may take.
const WORKLOADS: [(&str, u64); 9] = [
    ("W1", 20),
    ("W2", 20),
    ("W3", 20),
    ("W4", 20),
    ("W5", 25),
    ("W6", 45),
    ("digits", 20),
    ("a9a", 20),
    ("mnist", 25),
];

/// Workloads whose stages are timed.
const STAGED: [&str; 6] = ["W1", "W3", "W5", "digits", "a9a", "mnist"];

/// Workloads that the JAX script has.
const JAX: [&str; 6] = ["W1", "W2", "W3", "W4", "W5", "W6"];

/// The first step: what the device is, and whether it computes what it should.
pub fn devices(pack: &Pack) -> Step {
    let sngd = pack.program("sngd");
    Step::new("devices".into(), Group::Devices, 90, sngd, "devices --json")
}

/// The other steps, most telling ones first, on that adapter.
pub fn steps(pack: &Pack, adapter: &Adapter, short: bool) -> Vec<Step> {
    let absent = (*adapter == Adapter::Absent).then(|| "no adapter answers on this machine".into());
    let device = match adapter {
        Adapter::Named(name) => Some(name.as_str()),
        Adapter::Unknown | Adapter::Absent => None,
    };
    let mut steps = suites(pack, short);
    steps.extend(workloads(pack, device, short));
    steps.extend(stages(pack, device, short));
    steps.extend(posteriors(pack, device, short));
    for step in &mut steps {
        step.left_out = absent.clone().or(step.left_out.take());
    }
    steps.extend(jax(pack, short));
    steps
}

fn suites(pack: &Pack, short: bool) -> Vec<Step> {
    let suite = |&(name, limit): &(&str, u64)| {
        let row = format!("suite {}", name.trim_end_matches("::"));
        Step::new(row, Group::Suite, limit, pack.program("gpu-tests"), name)
    };
    if short {
        // one test, a few seconds on a software driver
        return vec![suite(&("engine::long_spans", 30))];
    }
    SUITES.iter().map(suite).collect()
}

fn workloads(pack: &Pack, device: Option<&str>, short: bool) -> Vec<Step> {
    let how = match short {
        true => "--engine gpu --seconds 0.2",
        false => "--engine all --seconds 2",
    };
    let of = |&(name, limit): &(&str, u64)| {
        let words = format!("bench --json {how} --workload {name}");
        let row = format!("workload {name}");
        Step::new(row, Group::Workload, limit, pack.program("sngd"), &words).on(device)
    };
    let quick = ["W1", "a9a"];
    let wanted = WORKLOADS.iter();
    let wanted = wanted.filter(|(name, _)| !short || quick.contains(name));
    wanted.map(of).collect()
}

fn stages(pack: &Pack, device: Option<&str>, short: bool) -> Vec<Step> {
    let seconds = if short { 0.05 } else { 1.0 };
    let of = |name: &&str| {
        let words = format!("bench --json --stages --seconds {seconds} --workload {name}");
        let row = format!("stages {name}");
        Step::new(row, Group::Stages, 20, pack.program("sngd"), &words).on(device)
    };
    let wanted = STAGED.iter().filter(|name| !short || **name == "W1");
    wanted.map(of).collect()
}

fn posteriors(pack: &Pack, device: Option<&str>, short: bool) -> Vec<Step> {
    // without a name, the first real GPU: `sngd sample` itself would rather take the CPU for a small problem
    let device = device.or(Some("gpu"));
    let of = |&(name, folder): &(&str, &str)| {
        let words = format!("bench --json --posterior {name} --repeat 1 --dir .");
        let row = format!("posterior {name}");
        let missing = (!pack.path("refs").join(folder).is_dir())
            .then(|| format!("the pack was made where no reference {folder} was found"));
        Step::new(row, Group::Posterior, 45, pack.program("sngd"), &words)
            .on(device)
            .unless(missing)
    };
    let wanted = POSTERIORS.iter().take(if short { 1 } else { 3 });
    wanted.map(of).collect()
}

/// JAX on whatever device it finds, where this machine's Python has it.
fn jax(pack: &Pack, short: bool) -> Vec<Step> {
    const LOOK: &str =
        "import importlib.util, sys; sys.exit(importlib.util.find_spec('jax') is None)";
    if short {
        return Vec::new();
    }
    let found = Command::new("python3").args(["-c", LOOK]).output();
    let has = found.is_ok_and(|o| o.status.success());
    let missing = (!has).then(|| "python3 has no jax".to_owned());
    let of = |name: &&str| {
        let words = format!("--seconds 2 --workload {name}");
        let mut step = Step::new(
            format!("JAX {name}"),
            Group::Jax,
            40,
            "python3".into(),
            &words,
        );
        let script = pack.path("peers/jax_sngd.py").display().to_string();
        step.arguments.insert(0, script);
        // Empty, JAX takes its best device, where the script asks for the CPU; and it leaves memory that it does not use.
        step.variables = vec![
            ("JAX_PLATFORMS", ""),
            ("XLA_PYTHON_CLIENT_PREALLOCATE", "false"),
        ];
        step.unless(missing.clone())
    };
    JAX.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack() -> Pack {
        Pack {
            root: "/no/pack".into(),
        }
    }

    #[test]
    fn names_and_files_of_steps_are_unique() {
        for short in [true, false] {
            let mut files: Vec<String> = steps(&pack(), &Adapter::Unknown, short)
                .iter()
                .map(Step::file_name)
                .collect();
            let all = files.len();
            files.sort();
            files.dedup();
            assert_eq!(files.len(), all);
        }
    }

    #[test]
    fn without_a_device_every_step_says_so() {
        let left_out = |step: &Step| step.left_out.is_some();
        assert!(steps(&pack(), &Adapter::Absent, true).iter().all(left_out));
        let unknown = steps(&pack(), &Adapter::Unknown, true);
        assert!(unknown.iter().any(|step| !left_out(step)));
    }

    #[test]
    fn an_adapters_name_is_one_argument() {
        let step = &stages(&pack(), Some("a card (of a kind)"), true)[0];
        let ends = &step.arguments[step.arguments.len() - 2..];
        assert_eq!(ends, ["--device", "a card (of a kind)"]);
    }

    #[test]
    fn a_posterior_without_its_reference_is_left_out() {
        let step = posteriors(&pack(), Some("a card"), true).remove(0);
        let reason = step.left_out.unwrap();
        assert!(reason.contains("glm/gc_german"), "{reason}");
    }
}
