//! Reads a run file: each key and value is checked against `run_schema`, and errors name the line. Values of
//! `--set section.key=value` replace those of the file.

use crate::checkpoint::{Fingerprint, Origin};
use crate::custom;
use crate::error::Error;
use crate::run_schema::{Kind, ROOT, SECTIONS, hint};
use serde::Deserialize;
use sngd_core::config::Config;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::Value;
use toml::de::{DeTable, DeValue};

/// A run file that has been read.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFile {
    /// The settings, overrides applied. Paths in them stay as written.
    pub config: Config,
    /// Path of the run file.
    pub path: PathBuf,
    /// Directory that the paths in the file are relative to.
    pub base: PathBuf,
}

impl RunFile {
    /// Reads a file. Each of `overrides` is `section.key=value`, the value as TOML or, if that fails, as text.
    ///
    /// # Errors
    /// [`Error::Input`]: one sentence with file and line, what was found, what was expected.
    pub fn read(path: &Path, overrides: &[String]) -> Result<RunFile, Error> {
        let text = std::fs::read_to_string(path).map_err(|e| {
            let found = match e.kind() {
                std::io::ErrorKind::NotFound => "no such file".to_string(),
                _ => format!("a file that cannot be read ({e})"),
            };
            Error::Input(format!(
                "{}: found {found}, expected a run file; check the path",
                path.display()
            ))
        })?;
        let mut config = parse(&text, &path.display().to_string(), overrides)?;
        let base = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        custom::load(&mut config, &base)?;
        Ok(RunFile {
            config,
            path: path.to_path_buf(),
            base,
        })
    }

    /// Reads the file of a user's own likelihood, if the settings name one, whose path is relative to `base`.
    ///
    /// # Errors
    /// As [`RunFile::read`].
    pub fn load_likelihood(config: &mut Config, base: &Path) -> Result<(), Error> {
        custom::load(config, base)
    }

    /// What a checkpoint says of where the run was started from; reads the data file to its end. `overrides` are those that the file was read with.
    ///
    /// # Errors
    /// [`Error::Input`] if a file cannot be read.
    pub fn origin(&self, overrides: &[String]) -> Result<Origin, Error> {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.into());
        let data = self.base.join(&self.config.data.path);
        Ok(Origin {
            version: env!("CARGO_PKG_VERSION").into(),
            config: serde_json::to_string(&self.config).unwrap_or_default(),
            run_file: absolute(&self.path),
            overrides: overrides.to_vec(),
            base: absolute(&self.base),
            data: Fingerprint::of(&data).map_err(|e| {
                Error::Input(format!(
                    "{}: found no file that can be read ({e}), expected the data",
                    data.display()
                ))
            })?,
        })
    }

    /// Path of the trace if the command line gives none: `output.path` beside the run file, or the run file's
    /// name with `.zarr` for its last ending, in the current directory.
    pub fn output(&self) -> PathBuf {
        match &self.config.output.path {
            // Joined to a folder, an empty path would be that folder.
            Some(p) if p.as_os_str().is_empty() => p.clone(),
            Some(p) => self.base.join(p),
            None => {
                let mut name = self.path.file_stem().unwrap_or("run".as_ref()).to_owned();
                name.push(".zarr");
                name.into()
            }
        }
    }

    /// Checks, before anything is computed, that the trace of this run may go to `out`: that the folder is free or
    /// empty or, with `force`, contains an old trace and nothing else, and none of the files that the run reads. Changes
    /// nothing on disk.
    /// # Errors
    /// [`Error::Store`], as [`sngd_store::check_output`].
    pub fn check_output(&self, out: &Path, force: bool) -> Result<(), Error> {
        let data = self.base.join(&self.config.data.path);
        let wgsl = self.config.model.wgsl.as_ref().map(|w| self.base.join(w));
        let mut inputs = vec![
            ("run file", self.path.as_path()),
            ("data file", data.as_path()),
        ];
        inputs.extend(wgsl.as_deref().map(|w| ("likelihood's file", w)));
        Ok(sngd_store::check_output(out, &inputs, force)?)
    }
}

/// Parses the text of a run file; messages call it `name`.
///
/// # Errors
/// As [`RunFile::read`].
pub fn parse(text: &str, name: &str, overrides: &[String]) -> Result<Config, Error> {
    let mut file = Entries::of(text, name)?;
    for o in overrides {
        file.set(o)?;
    }
    file.config(name)
}

/// A value and where it was written, e.g. `run.toml:12` or `--set seed=3`.
struct Entry {
    value: Value,
    at: String,
}

/// Values by section (`""` for those outside) and key.
#[derive(Default)]
struct Entries(BTreeMap<String, BTreeMap<String, Entry>>);

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|b| *b == b'\n').count()
}

fn syntax(text: &str, name: &str, e: &toml::de::Error) -> Error {
    let at = e.span().map_or(name.to_string(), |s| {
        format!("{name}:{}", line_of(text, s.start))
    });
    let message = e.message().lines().collect::<Vec<_>>().join(" ");
    Error::Input(format!(
        "{at}: found text that is not TOML ({message}), expected key = value; correct the line"
    ))
}

impl Entries {
    fn of(text: &str, name: &str) -> Result<Entries, Error> {
        let spanned = DeTable::parse(text).map_err(|e| syntax(text, name, &e))?;
        let values: toml::Table = toml::from_str(text).map_err(|e| syntax(text, name, &e))?;
        let mut entries = Entries::default();
        for (key, located) in spanned.get_ref() {
            let at = |offset: usize| format!("{name}:{}", line_of(text, offset));
            let Some(value) = values.get(key.get_ref().as_ref()) else {
                continue;
            };
            let section = key.get_ref().to_string();
            match (located.get_ref(), value) {
                (DeValue::Table(inner), Value::Table(inner_values))
                    if SECTIONS.iter().any(|(s, _)| *s == section) =>
                {
                    let keys = entries.0.entry(section).or_default();
                    for (k, _) in inner {
                        if let Some(v) = inner_values.get(k.get_ref().as_ref()) {
                            let entry = Entry {
                                value: v.clone(),
                                at: at(k.span().start),
                            };
                            keys.insert(k.get_ref().to_string(), entry);
                        }
                    }
                }
                _ => {
                    let at = at(key.span().start);
                    entries.check("", &section, value, &at)?;
                    let entry = Entry {
                        value: value.clone(),
                        at,
                    };
                    entries
                        .0
                        .entry(String::new())
                        .or_default()
                        .insert(section, entry);
                }
            }
        }
        for (section, keys) in &entries.0 {
            for (key, e) in keys {
                entries.check(section, key, &e.value, &e.at)?;
            }
        }
        Ok(entries)
    }

    /// Checks that the key is known and the value is allowed.
    fn check(&self, section: &str, key: &str, value: &Value, at: &str) -> Result<(), Error> {
        match kind_of(section, key) {
            Ok(kind) => {
                let full = full_name(section, key);
                kind.check(value)
                    .map_err(|e| Error::Input(format!("{at}: {full}: {e}")))
            }
            Err(e) if section.is_empty() && value.is_table() => Err(Error::Input(format!(
                "{at}: {}",
                e.replace("unknown key", "unknown section")
            ))),
            Err(e) => Err(Error::Input(format!("{at}: {e}"))),
        }
    }

    fn set(&mut self, text: &str) -> Result<(), Error> {
        let at = format!("--set {text}");
        let Some((path, raw)) = text.split_once('=') else {
            return Err(Error::Input(format!(
                "{at}: found no \"=\", expected section.key=value such as sampler.step_size=0.05"
            )));
        };
        let (path, raw) = (path.trim(), raw.trim());
        let (section, key) = path.split_once('.').unwrap_or(("", path));
        let (section, key) = (section.trim(), key.trim().trim_matches('"'));
        let parsed = toml::from_str::<toml::Table>(&format!("v = {raw}"))
            .ok()
            .filter(|t| t.len() == 1)
            .and_then(|mut t| t.remove("v"));
        let as_text = || Value::String(raw.to_string());
        let kind = kind_of(section, key).map_err(|e| Error::Input(format!("{at}: {e}")))?;
        let value = match parsed {
            Some(v) if !matches!(kind, Kind::Text | Kind::Path) || v.is_str() => match kind {
                // A label that looks like a date is a text.
                Kind::Label if kind.check(&v).is_err() => as_text(),
                _ => v,
            },
            _ => as_text(),
        };
        self.check(section, key, &value, &at)?;
        self.0
            .entry(section.into())
            .or_default()
            .insert(key.into(), Entry { value, at });
        Ok(())
    }

    fn config(self, name: &str) -> Result<Config, Error> {
        for (section, keys) in SECTIONS {
            for key in keys.iter().filter(|k| k.required) {
                if !self
                    .0
                    .get(*section)
                    .is_some_and(|s| s.contains_key(key.name))
                {
                    return Err(Error::Input(format!(
                        "{name}: found no {section}.{}, expected {}; add it under [{section}]",
                        key.name,
                        purpose(key.name)
                    )));
                }
            }
        }
        let mut root = toml::Table::new();
        for (section, keys) in self.0 {
            let values = keys.into_iter().map(|(k, e)| (k, e.value));
            if section.is_empty() {
                root.extend(values);
            } else {
                root.insert(section, Value::Table(values.collect()));
            }
        }
        Config::deserialize(Value::Table(root)).map_err(|e| {
            let message = e.message().lines().collect::<Vec<_>>().join(" ");
            Error::Input(format!(
                "{name}: found a value that cannot be used: {message}"
            ))
        })
    }
}

fn purpose(key: &str) -> &'static str {
    match key {
        "path" => "the data file",
        "response" => "the response column",
        _ => "the family of the response such as \"bernoulli\"",
    }
}

fn full_name(section: &str, key: &str) -> String {
    if section.is_empty() {
        key.to_string()
    } else {
        format!("{section}.{key}")
    }
}

/// The kind of value that a key takes, or why there is no such key.
fn kind_of(section: &str, key: &str) -> Result<Kind, String> {
    if section == "prior" {
        return Ok(Kind::Text);
    }
    let keys = if section.is_empty() {
        ROOT
    } else {
        match SECTIONS.iter().find(|(s, _)| *s == section) {
            Some((_, keys)) => keys,
            None => {
                let names: Vec<&str> = SECTIONS.iter().map(|(s, _)| *s).collect();
                return Err(format!(
                    "found unknown section \"{section}\", expected {}{}",
                    names.join(", "),
                    hint(section, names.iter().copied())
                ));
            }
        }
    };
    if let Some(k) = keys.iter().find(|k| k.name == key) {
        return Ok(k.kind);
    }
    let mut known: Vec<&str> = keys.iter().map(|k| k.name).collect();
    if section.is_empty() {
        known.extend(SECTIONS.iter().map(|(s, _)| *s));
    }
    // The key may belong to another section.
    let elsewhere = SECTIONS
        .iter()
        .find(|(_, keys)| keys.iter().any(|k| k.name == key))
        .map_or(String::new(), |(s, _)| format!("; it belongs under [{s}]"));
    let hint = if elsewhere.is_empty() {
        hint(key, known.iter().copied())
    } else {
        elsewhere
    };
    let place = if section.is_empty() {
        String::new()
    } else {
        format!(" in [{section}]")
    };
    Err(format!(
        "found unknown key \"{key}\"{place}, expected one of {}{hint}",
        known.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sngd_core::config::{Label, Trials};

    const SMALL: &str =
        "[data]\npath = \"a.csv\"\nresponse = \"y\"\n[model]\nlikelihood = \"bernoulli\"\n";

    fn message(text: &str, overrides: &[&str]) -> String {
        let overrides: Vec<String> = overrides.iter().map(|s| s.to_string()).collect();
        parse(text, "r.toml", &overrides).unwrap_err().to_string()
    }

    fn config(overrides: &[&str]) -> Config {
        let overrides: Vec<String> = overrides.iter().map(|s| s.to_string()).collect();
        parse(SMALL, "r.toml", &overrides).unwrap()
    }

    #[test]
    fn messages_name_line_found_and_expected() {
        let m = message(&format!("{SMALL}[sampler]\nstep_sise = 0.1\n"), &[]);
        assert!(
            m.starts_with("r.toml:7: found unknown key \"step_sise\" in [sampler]"),
            "{m}"
        );
        assert!(m.ends_with("did you mean \"step_size\"?"), "{m}");
        let m = message(&format!("{SMALL}[samplr]\nstep_size = 0.1\n"), &[]);
        assert!(
            m.contains("r.toml:6") && m.contains("did you mean \"sampler\"?"),
            "{m}"
        );
        let m = message(&format!("{SMALL}[run]\nchains = \"many\"\n"), &[]);
        assert_eq!(
            m,
            "r.toml:7: run.chains: found the text \"many\", expected a whole number from 1 to 4294967295, or \"auto\""
        );
        let m = message(&format!("{SMALL}[sampler]\nmethod = \"sgnd\"\n"), &[]);
        assert!(
            m.contains("r.toml:7") && m.contains("did you mean \"sngd\"?"),
            "{m}"
        );
        for (tried, meant) in [("normal", "gaussian"), ("logistic", "bernoulli")] {
            let m = message(SMALL, &[&format!("model.likelihood={tried}")]);
            assert!(m.ends_with(&format!("did you mean \"{meant}\"?")), "{m}");
        }
        let m = message(&format!("{SMALL}[prior]\nweights.b = \"flat\"\n"), &[]);
        assert!(m.contains("as \"weights.b\""), "{m}");
        let m = message("x = [1\n", &[]);
        assert!(m.starts_with("r.toml:") && m.contains("not TOML"), "{m}");
        let m = message("seed = 1\n", &[]);
        assert!(m.contains("found no data.path"), "{m}");
        let m = message(&format!("chains = 3\n{SMALL}"), &[]);
        assert!(
            m.contains("r.toml:1") && m.contains("it belongs under [run]"),
            "{m}"
        );
    }

    #[test]
    fn overrides_are_typed_by_their_syntax() {
        let c = config(&[
            "sampler.step_size=0.05",
            "run.device=llvmpipe",
            "seed=7",
            "sampler.batch_size=full",
            "data.response=2020",
            "data.positive=2020-01-02",
            "data.features=[\"a\", \"b\"]",
            "prior.weights=normal(0, 1)",
            "prior.weights.b=flat",
        ]);
        assert_eq!(
            c.sampler.step_size.as_ref().map(|s| s.initial()),
            Some(0.05)
        );
        assert_eq!((c.seed, c.run.device.to_string().as_str()), (7, "llvmpipe"));
        assert_eq!(c.data.response, "2020");
        assert_eq!(c.data.positive, Some("2020-01-02".into()));
        for (set, positive) in [
            ("data.positive=2", Label::Integer(2)),
            ("data.positive=true", Label::Flag(true)),
            ("data.positive=0.5", Label::Number(0.5)),
            ("data.positive=\"2\"", "2".into()),
            ("data.positive=yes", "yes".into()),
        ] {
            assert_eq!(config(&[set]).data.positive, Some(positive));
        }
        for (set, trials) in [
            ("model.trials=10", Trials::Count(10)),
            ("model.trials=n", "n".into()),
            ("model.trials=\"10\"", "10".into()),
        ] {
            assert_eq!(config(&[set]).model.trials, Some(trials));
        }
        assert!(
            message(SMALL, &["model.trials=0"]).contains("a column in quotes, or a whole number")
        );
        assert_eq!(
            c.data.features.as_deref(),
            Some(&["a".to_string(), "b".into()][..])
        );
        assert_eq!(c.prior.0["weights.b"], "flat".into());
        assert!(message(SMALL, &["sampler.stepsize=1"]).contains("did you mean \"step_size\"?"));
        assert!(message(SMALL, &["seed"]).contains("expected section.key=value"));
        assert!(message(SMALL, &["seed=1\nx=2"]).contains("found the text"));
    }

    #[test]
    fn every_word_of_the_schema_is_one_of_the_config() {
        for (section, keys) in SECTIONS {
            for key in *keys {
                let words = match key.kind {
                    Kind::Words(w) | Kind::NumberOr(w) | Kind::CountOr(w) => w,
                    _ => &[],
                };
                for w in words {
                    config(&[&format!("{section}.{}={w}", key.name)]);
                }
            }
        }
        config(&["sampler.step_size={ kind = \"polynomial\", initial = 1 }"]);
        config(&[
            "run.until={ ess = 1000, max_draws = 5000 }",
            "sampler.step_size=auto",
        ]);
        config(&["run.chains=auto", "run.warmup=auto", "run.thin=auto"]);
        config(&["sampler.step_size={ kind = \"cyclical\", initial = 0.5, cycle = 50 }"]);
    }

    #[test]
    fn every_key_of_the_config_is_in_the_schema() {
        let mut c = config(&["data.features=[]", "model.link=logit", "model.scale=1"]);
        c.model.trials = Some("t".into());
        c.model.failures = Some("f".into());
        c.data.positive = Some("p".into());
        c.data.standardize = Some(true);
        c.data.offset = Some("o".into());
        c.data.exposure = Some("e".into());
        c.data.weights = Some("w".into());
        c.sampler.temperature = Some(1.0);
        c.sampler.batch_size = Some(sngd_core::config::BatchSize::Rows(1));
        c.sampler.noise = Some(sngd_core::config::Noise::Full);
        c.sampler.integrator = Some(sngd_core::config::Integrator::Ou);
        c.sampler.method = Some(sngd_core::config::Method::Mala);
        c.sampler.metric = Some(sngd_core::config::MetricAt::Mode);
        c.sampler.gradient = Some(sngd_core::config::Gradient::Plain);
        c.sampler.step_size = Some(sngd_core::config::DEFAULT_STEP_SIZE);
        c.sampler.damping = Some(0.0);
        c.run.chains = Some(1);
        c.run.warmup = Some(0);
        c.run.thin = Some(1);
        c.run.init_scale = Some(1.0);
        c.run.until = Some(Default::default());
        c.run.threads = Some(1);
        c.run.init = Some(sngd_core::config::Init::Zero);
        c.model.hidden = Some(vec![2]);
        c.model.activation = Some(Default::default());
        c.model.bias = Some(true);
        c.model.wgsl = Some("w".into());
        c.model.outputs = Some(1);
        c.model.auxiliary = Some("a".into());
        c.model.companion = Some("c".into());
        c.output.path = Some("p".into());
        let Value::Table(all) = Value::try_from(&c).unwrap() else {
            panic!("a table")
        };
        let mut count = 0;
        for (section, keys) in all.iter().filter_map(|(s, v)| Some((s, v.as_table()?))) {
            for key in keys.keys() {
                assert!(kind_of(section, key).is_ok(), "{section}.{key}");
                count += 1;
            }
        }
        let known: usize = SECTIONS.iter().map(|(_, k)| k.len()).sum();
        assert_eq!(count, known);
    }
}
