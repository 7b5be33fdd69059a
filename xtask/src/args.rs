//! The command line of xtask.

use crate::runner::Selection;
use std::path::PathBuf;

/// The task that was asked for.
#[derive(Debug, PartialEq)]
pub enum Task {
    Help,
    Setup,
    Peers,
    Test(TestOptions),
    Ci(TestOptions),
    Long,
    References(Vec<String>),
    Cases,
    Bench(Vec<String>),
    GpuPack(PackOptions),
    /// Internal: lists the Vulkan devices that the drivers in the environment offer.
    Probe,
    /// Internal: the command line of a test binary, passed by cargo, see `runner`, and which of its tests to run.
    RunTest(Selection, Vec<String>),
}

/// How to make the pack for a GPU.
#[derive(Debug, Default, PartialEq)]
pub struct PackOptions {
    /// Without benches, and tried on this machine.
    pub short: bool,
    /// Where it goes.
    pub folder: Option<PathBuf>,
}

/// How to run the tests.
#[derive(Debug, Default, PartialEq)]
pub struct TestOptions {
    pub long: bool,
    pub cpu_only: bool,
    /// The arguments after `--`, passed to the test binaries, as `cargo test -- ...` does.
    pub filter: Vec<String>,
}

/// Reads the arguments after `cargo xtask`.
pub fn parse(arguments: &[String]) -> Result<Task, String> {
    let Some((task, rest)) = arguments.split_first() else {
        return Ok(Task::Help);
    };
    if let Some(selection) = Selection::named(task) {
        return Ok(Task::RunTest(selection, rest.to_vec()));
    }
    match task.as_str() {
        "references" => return Ok(Task::References(without_separator(rest))),
        "bench" => return Ok(Task::Bench(without_separator(rest))),
        "gpu-pack" => return Ok(Task::GpuPack(pack_options(rest)?)),
        "test" => return Ok(Task::Test(test_options(rest)?)),
        "ci" => return Ok(Task::Ci(test_options(rest)?)),
        _ => {}
    }
    let found = match task.as_str() {
        "help" | "-h" | "--help" => Task::Help,
        "setup" => Task::Setup,
        "cases" => Task::Cases,
        "peers" => Task::Peers,
        "long" => Task::Long,
        "probe" => Task::Probe,
        other => {
            return Err(format!(
                "there is no task '{other}'; `cargo xtask help` lists them"
            ));
        }
    };
    match rest.first() {
        None => Ok(found),
        Some(extra) => Err(format!(
            "`{task}` takes no arguments, but was given '{extra}'"
        )),
    }
}

fn test_options(arguments: &[String]) -> Result<TestOptions, String> {
    let mut options = TestOptions::default();
    for (position, argument) in arguments.iter().enumerate() {
        match argument.as_str() {
            "--long" => options.long = true,
            "--cpu-only" => options.cpu_only = true,
            "--" => {
                options.filter = arguments[position + 1..].to_vec();
                break;
            }
            other => {
                return Err(format!(
                    "'{other}' is not an option of the tests: they take --long, --cpu-only and -- FILTER"
                ));
            }
        }
    }
    Ok(options)
}

fn pack_options(arguments: &[String]) -> Result<PackOptions, String> {
    let mut options = PackOptions::default();
    for argument in arguments {
        match argument.as_str() {
            "--short" => options.short = true,
            folder if !folder.starts_with('-') && options.folder.is_none() => {
                options.folder = Some(folder.into());
            }
            other => {
                return Err(format!(
                    "'{other}' is not expected: `gpu-pack` takes --short and one folder"
                ));
            }
        }
    }
    Ok(options)
}

fn without_separator(arguments: &[String]) -> Vec<String> {
    let skip = usize::from(arguments.first().is_some_and(|first| first == "--"));
    arguments[skip..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Task, String> {
        parse(
            &line
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn options_and_filter_are_told_apart() {
        let expected = TestOptions {
            long: true,
            cpu_only: true,
            filter: vec!["philox".into(), "--nocapture".into()],
        };
        assert_eq!(
            read("test --long --cpu-only -- philox --nocapture"),
            Ok(Task::Test(expected))
        );
        assert_eq!(read("test"), Ok(Task::Test(TestOptions::default())));
        assert_eq!(read(""), Ok(Task::Help));
        assert_eq!(read("peers"), Ok(Task::Peers));
    }

    #[test]
    fn a_pack_takes_one_folder() {
        let expected = PackOptions {
            short: true,
            folder: Some("/somewhere".into()),
        };
        assert_eq!(
            read("gpu-pack --short /somewhere"),
            Ok(Task::GpuPack(expected))
        );
        assert_eq!(read("gpu-pack"), Ok(Task::GpuPack(PackOptions::default())));
        assert!(read("gpu-pack a b").unwrap_err().contains("'b'"));
        assert!(read("gpu-pack --fast").unwrap_err().contains("'--fast'"));
    }

    #[test]
    fn the_rest_is_handed_on() {
        let rest = vec!["--only".to_owned(), "pima".to_owned()];
        assert_eq!(
            read("references --only pima"),
            Ok(Task::References(rest.clone()))
        );
        assert_eq!(
            read("references -- --only pima"),
            Ok(Task::References(rest))
        );
    }

    #[test]
    fn what_is_unknown_is_named() {
        assert!(read("tset").unwrap_err().contains("'tset'"));
        assert!(read("test --fast").unwrap_err().contains("'--fast'"));
        assert!(read("setup now").unwrap_err().contains("'now'"));
        assert!(read("peers now").unwrap_err().contains("'now'"));
    }
}
