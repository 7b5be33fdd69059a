//! What refusals advise works, as far as it has been tried: each case of tests/data/remedies.toml is refused with its words, and then each remedy that the message
//! names is followed as a user would.
#![allow(clippy::print_stdout, reason = "a skipped case must be heard")]

use crate::common::{Scene, command};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

type Files = BTreeMap<String, String>;

#[derive(Deserialize)]
struct Cases {
    files: Files,
    refusal: Vec<Refusal>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refusal {
    name: String,
    command: String,
    run: Option<String>,
    #[serde(default)]
    arguments: Vec<String>,
    #[serde(default)]
    files: Files,
    /// Commands that are run first.
    #[serde(default)]
    before: Vec<Vec<String>>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    says: String,
    exit: i32,
    #[serde(default)]
    remedy: Vec<Remedy>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Remedy {
    words: String,
    #[serde(default)]
    set: Vec<String>,
    run: Option<String>,
    arguments: Option<Vec<String>>,
    #[serde(default)]
    files: Files,
    environment: Option<BTreeMap<String, String>>,
    exit: i32,
}

impl Refusal {
    /// Whether the case, or a remedy of it, asks for a software driver.
    fn on_a_device(&self) -> bool {
        let own = self.arguments.iter().chain(self.run.as_ref());
        let theirs = (self.remedy.iter()).flat_map(|r| {
            r.set
                .iter()
                .chain(&r.run)
                .chain(r.arguments.iter().flatten())
        });
        own.chain(theirs).any(|text| text.contains("software"))
    }
}

/// Exit code and everything that was said, in a folder of its own.
fn attempt(
    (shared, cache): (&Files, &Path),
    case: &Refusal,
    remedy: Option<&Remedy>,
) -> (Option<i32>, String) {
    let run = remedy.and_then(|r| r.run.as_ref()).or(case.run.as_ref());
    let scene = Scene::new("", run.map_or("", String::as_str));
    std::fs::remove_file(scene.path("data.csv")).unwrap();
    let own = remedy.map_or_else(Files::new, |r| r.files.clone());
    for (name, text) in shared.iter().chain(&case.files).chain(&own) {
        let path = scene.path(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).unwrap();
        }
        std::fs::write(path, text).unwrap();
    }
    match run {
        Some(run) => std::fs::write(scene.path("run.toml"), run).unwrap(),
        None => std::fs::remove_file(scene.path("run.toml")).unwrap(),
    }
    for before in &case.before {
        let words: Vec<&str> = before.iter().map(String::as_str).collect();
        command(&scene, &words).output().unwrap();
    }
    let arguments = (remedy.and_then(|r| r.arguments.as_ref())).unwrap_or(&case.arguments);
    let mut words = vec![case.command.as_str()];
    words.extend(run.map(|_| "run.toml"));
    words.extend(arguments.iter().map(String::as_str));
    for set in remedy.iter().flat_map(|r| &r.set) {
        words.extend(["--set", set]);
    }
    let environment = (remedy.and_then(|r| r.environment.as_ref())).unwrap_or(&case.environment);
    // Devices that have passed their self-test are remembered between the cases, and nowhere else.
    let mut command = command(&scene, &words);
    let done = command
        .env("XDG_CACHE_HOME", cache)
        .envs(environment)
        .output()
        .unwrap();
    let said = [done.stdout, done.stderr].map(|b| String::from_utf8_lossy(&b).into_owned());
    (done.status.code(), said.concat())
}

#[test]
fn what_a_refusal_advises_works() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/data/remedies.toml"
    );
    let cases: Cases = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(cases.refusal.len() > 200, "{}", cases.refusal.len());
    let without_driver = std::env::var("SNGD_TEST_DRIVER").is_ok_and(|d| d == "none");
    if without_driver {
        println!("skipped: cases on a device, since there is no driver");
    }
    let cache = tempfile::tempdir().unwrap();
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let next = std::sync::atomic::AtomicUsize::new(0);
    let wrong = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(case) = cases.refusal.get(at) else {
                        return;
                    };
                    if without_driver && case.on_a_device() {
                        continue;
                    }
                    let found = judge((&cases.files, cache.path()), case);
                    wrong.lock().unwrap().extend(found);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with a case: its message, or a remedy that does not work.
fn judge(shared: (&Files, &Path), case: &Refusal) -> Vec<String> {
    // Messages are compared as one line.
    let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (code, said) = attempt(shared, case, None);
    let said = line(&said);
    if code != Some(case.exit) || !said.contains(&line(&case.says)) {
        return vec![format!("{}: exit {code:?}: {said}", case.name)];
    }
    let followed = case.remedy.iter().filter_map(|remedy| {
        if !said.contains(&line(&remedy.words)) {
            return Some(format!(
                "{}: does not say \"{}\": {said}",
                case.name, remedy.words
            ));
        }
        let (code, after) = attempt(shared, case, Some(remedy));
        (code != Some(remedy.exit)).then(|| {
            format!(
                "{}: \"{}\" gives exit {code:?}: {after}",
                case.name, remedy.words
            )
        })
    });
    followed.collect()
}
