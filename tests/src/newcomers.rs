//! Run files as newcomers write them, with small data (tests/data/cases, and larger ones beside the references), and what is right of
//! each: posterior means and sds by NUTS or quadrature in f64 under the priors that the run file gives or leaves to their defaults, or
//! a refusal that says why.

use sngd::core::config::Device;
use sngd::{Error, Report, RunFile, Sampler};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Means may be off by this share of a posterior sd.
pub const MEAN: f64 = 0.1;
/// Sds may be off by this share.
pub const SD: f64 = 0.05;

/// What is right of a run file.
#[derive(Debug, Clone)]
pub enum Right {
    /// Mean and sd of each parameter, by name.
    Posterior(BTreeMap<String, (f64, f64)>),
    /// Words of the sentence that refuses it.
    Refusal(&'static [&'static str]),
}

/// What came of it.
#[derive(Debug)]
pub enum Outcome {
    /// Draws.
    Drawn(Box<Report>),
    /// Refused with a sentence, as unusable input.
    Refused(String),
    /// Another failure.
    Failed(String),
}

/// Run files that have no posterior, or that must be refused, with words of the sentence.
const REFUSALS: &[(&str, &[&str])] = &[
    (
        "collinear/dummy-bernoulli-flat",
        &["`gc` = 1 − `ga` − `gb`", "improper"],
    ),
    (
        "collinear/dummy-gaussian-flat",
        &["`gc` = 1 − `ga` − `gb`", "improper"],
    ),
    (
        "collinear/lin-poisson-flat",
        &["`inch` = 0.393701 × `cm`", "improper"],
    ),
    (
        "offset/exposure",
        &["found an exposure of -0.86132917", "above 0"],
    ),
    (
        "perfect_fit/exact",
        &["without error", "near 0", "improper"],
    ),
    (
        "separation/eight_flat",
        &["larger `x` separates", "improper"],
    ),
    ("separation/flat", &["larger `len` separates", "improper"]),
    ("softmax/continuous", &["gaussian"]),
    ("text_columns/run", &["`sex`", "female"]),
];

/// Folders with cases: those shipped, and the larger ones of the folder that `SNGD_CASES` names or that stands beside the checkout.
fn folders() -> Vec<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = std::env::var_os("SNGD_CASES").map(PathBuf::from);
    let beside = here.join("../../shared/cases");
    [Some(here.join("data/cases")), named.or(Some(beside))]
        .into_iter()
        .flatten()
        .filter(|f| f.is_dir())
        .collect()
}

/// All run files that something is known to be right of, by name, `folder/file`: shipped ones first.
pub fn cases() -> Vec<(String, PathBuf, Right)> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(here.join("data/cases/right_values.json"))
        .expect("the right values read");
    let json: serde_json::Value = serde_json::from_str(&text).expect("the right values are JSON");
    let posterior = |case: &serde_json::Value| {
        let parameters = case["parameters"].as_object().expect("parameters");
        let number = |v: &serde_json::Value, key: &str| v[key].as_f64().expect("a number");
        let of = |(name, v): (&String, &serde_json::Value)| {
            (name.clone(), (number(v, "mean"), number(v, "sd")))
        };
        Right::Posterior(parameters.iter().map(of).collect())
    };
    let drawn = json.as_object().expect("cases by name").iter();
    let refused = REFUSALS.iter();
    let all = drawn
        .map(|(name, case)| (name.clone(), posterior(case)))
        .chain(refused.map(|(name, words)| ((*name).to_string(), Right::Refusal(words))));
    let folders = folders();
    all.filter_map(|(name, right)| {
        let file = format!("{name}.toml");
        let path = folders
            .iter()
            .map(|f| f.join(&file))
            .find(|f| f.is_file())?;
        Some((name, path, right))
    })
    .collect()
}

/// The settings that a refusal advises, `prior.weights = "default"` and the like, as `--set` takes them.
pub fn remedies(said: &str) -> Vec<String> {
    let mut out = Vec::new();
    let advice = said.rsplit_once("; ").map_or("", |(_, advice)| advice);
    let parts: Vec<&str> = advice.split(" = \"").collect();
    for pair in parts.windows(2) {
        let key = pair[0].rsplit(' ').next().unwrap_or_default();
        let value = pair[1].split('"').next().unwrap_or_default();
        out.push(format!("{}=\"{value}\"", key.replace('"', "")));
    }
    out
}

/// Samples a run file as it is on a device, in memory.
pub fn sample(path: &Path, device: &Device) -> Outcome {
    sample_with(path, device, &[])
}

/// The same with settings `key=value` in place of the file's own.
pub fn sample_with(path: &Path, device: &Device, set: &[String]) -> Outcome {
    let run = || -> Result<Report, Error> {
        let mut file = RunFile::read(path, set)?;
        file.config.run.device = device.clone();
        let sampler = Sampler::from_config(file.config, &file.base)?;
        let plan = &sampler.prepared().plan;
        let (warmup, draws) = (sngd::Warmup(plan.warmup), sngd::Draws(plan.draws));
        Ok(sampler.sample(warmup, draws)?.summary())
    };
    match run() {
        Ok(report) => Outcome::Drawn(Box::new(report)),
        Err(e) if e.exit_code() == 2 => Outcome::Refused(e.to_string()),
        Err(e) => Outcome::Failed(e.to_string()),
    }
}

/// Largest error of a mean, in posterior sds, and of an sd, as a share; infinite where a parameter is missing.
pub fn errors(report: &Report, right: &BTreeMap<String, (f64, f64)>) -> (f64, f64) {
    let of = |name: &str| report.rows.iter().find(|r| r.name == name);
    let one = |(name, &(mean, sd)): (&String, &(f64, f64))| match of(name) {
        Some(row) => ((row.mean - mean).abs() / sd, (row.sd / sd - 1.0).abs()),
        None => (f64::INFINITY, f64::INFINITY),
    };
    let worst = |a: (f64, f64), b: (f64, f64)| (a.0.max(b.0), a.1.max(b.1));
    right.iter().map(one).fold((0.0, 0.0), worst)
}

/// One line on what is wrong with what came of a run file; `None` where all is as it should be. Draws near what is right are to be called
/// converged too, unless the run file itself says how many to take.
pub fn fault(path: &Path, outcome: &Outcome, right: &Right) -> Option<String> {
    let own_length = || std::fs::read_to_string(path).is_ok_and(|text| text.contains("draws"));
    match (outcome, right) {
        (Outcome::Drawn(report), Right::Posterior(values)) => {
            let (mean, sd) = errors(report, values);
            let near = mean <= MEAN && sd <= SD && report.rows.len() == values.len();
            let said = &report.verdict.sentence;
            let called = report.verdict.converged || own_length();
            (!near || !called).then(|| {
                format!(
                    "means off by {mean:.3} sd, sds by {:.1}%; {said}",
                    100.0 * sd
                )
            })
        }
        (Outcome::Refused(said), Right::Refusal(words)) => {
            let missing = words.iter().find(|w| !said.contains(**w))?;
            Some(format!("expected '{missing}' in: {said}"))
        }
        (Outcome::Drawn(report), Right::Refusal(_)) => {
            Some(format!("drawn: {}", report.verdict.sentence))
        }
        (Outcome::Refused(said), Right::Posterior(_)) => Some(format!("refused: {said}")),
        (Outcome::Failed(said), _) => Some(format!("failed: {said}")),
    }
}
