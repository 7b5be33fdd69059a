//! Combines plain WGSL files. Each file is included once, where it is first imported.

use crate::model::{GIVEN, STAND_INS};
use crate::reflect::Checked;
use crate::{Consts, LinkError, ModelSource, limits};
use sngd_core::likelihood::declares;
use std::sync::OnceLock;

/// Path and text of every file under `wgsl/`.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// Name that errors give to the generated text of constants.
const CONSTS: &str = "<consts>";

/// Path and text of every embedded file, sorted by path.
pub fn files() -> &'static [(&'static str, &'static str)] {
    FILES
}

/// A linked WGSL module, with the origin of each of its lines.
#[derive(Debug, Clone)]
pub struct Linked {
    /// Text of the module.
    pub wgsl: String,
    pub(crate) root: String,
    /// File of a user's model, if there is one: a function that is missing from it gets a separate error.
    pub(crate) user_model: Option<String>,
    names: Vec<String>,
    /// For each line, the index of its file in `names` and its line there.
    lines: Vec<(usize, u32)>,
    pub(crate) checked: OnceLock<Result<Checked, LinkError>>,
}

impl Linked {
    /// File and line that line `line` (from 1) of the module comes from.
    pub fn locate(&self, line: u32) -> (&str, u32) {
        let last = self.lines.len().saturating_sub(1);
        let at = (line.max(1) as usize - 1).min(last);
        self.lines
            .get(at)
            .map_or((&self.root, line), |&(file, line)| {
                (&self.names[file], line)
            })
    }

    /// Whether the module contains a user's text.
    pub fn has_users_text(&self) -> bool {
        (self.user_model.as_ref()).is_some_and(|file| self.names.contains(file))
    }

    /// Names of the included files, in the order of their first line.
    pub fn sources(&self) -> &[String] {
        &self.names
    }
}

/// Links an embedded file, e.g. `state/kernel/rows.wgsl`, with constants and a model.
pub fn link(root: &str, consts: &Consts, model: Option<&ModelSource>) -> Result<Linked, LinkError> {
    let text = embedded(root).ok_or_else(|| LinkError::NoRoot(root.to_string()))?;
    link_text(root, text, consts, model)
}

/// Links a root file that is not embedded; `name` is its path in errors.
pub fn link_text(
    name: &str,
    wgsl: &str,
    consts: &Consts,
    model: Option<&ModelSource>,
) -> Result<Linked, LinkError> {
    let mut all = consts.clone();
    if let Some(ModelSource::User { body, .. }) = model {
        limits::check_text(body)?;
    }
    if let Some(model) = model {
        all.merge(&model.consts())?;
    }
    let mut linker = Linker {
        consts: all.wgsl()?,
        model,
        out: String::new(),
        names: Vec::new(),
        lines: Vec::new(),
        open: Vec::new(),
    };
    linker.include(name, wgsl)?;
    Ok(Linked {
        wgsl: linker.out,
        root: name.to_string(),
        user_model: match model {
            Some(ModelSource::User { body, .. }) => Some(body.file.clone()),
            _ => None,
        },
        names: linker.names,
        lines: linker.lines,
        checked: OnceLock::new(),
    })
}

fn embedded(path: &str) -> Option<&'static str> {
    FILES
        .iter()
        .find(|(p, _)| *p == path)
        .map(|&(_, text)| text)
}

struct Linker<'a> {
    consts: String,
    model: Option<&'a ModelSource>,
    out: String,
    names: Vec<String>,
    lines: Vec<(usize, u32)>,
    /// Files whose text is being copied, outermost first.
    open: Vec<String>,
}

impl Linker<'_> {
    fn include(&mut self, name: &str, text: &str) -> Result<(), LinkError> {
        let file = self.names.len();
        self.names.push(name.to_string());
        self.open.push(name.to_string());
        for (i, line) in text.lines().enumerate() {
            let number = i as u32 + 1;
            let directive = line.trim_start();
            if directive.starts_with('#') {
                self.import(name, number, directive.trim_end())?;
            } else {
                self.out.push_str(line);
                self.out.push('\n');
                self.lines.push((file, number));
            }
        }
        self.open.pop();
        Ok(())
    }

    fn import(&mut self, file: &str, line: u32, directive: &str) -> Result<(), LinkError> {
        let file = || file.to_string();
        let target = directive.strip_prefix("#import").map(str::trim);
        let path = target.and_then(|t| t.strip_prefix('"')?.strip_suffix('"'));
        let (name, text) = match (target, path) {
            (Some("<consts>"), _) => (CONSTS.to_string(), self.consts.clone()),
            (Some("<model>"), _) => match self.model {
                None => return Err(LinkError::NoModel { file: file(), line }),
                Some(ModelSource::User { body, .. }) => {
                    for given in GIVEN {
                        self.import(&file(), line, &format!("#import \"{given}\""))?;
                    }
                    (body.file.clone(), body.text.clone())
                }
                Some(builtin) => (
                    builtin.name().to_string(),
                    self.read(&file(), line, builtin.name())?,
                ),
            },
            (_, Some(path)) => (path.to_string(), self.read(&file(), line, path)?),
            _ => {
                return Err(LinkError::Directive {
                    file: file(),
                    line,
                    text: directive.to_string(),
                });
            }
        };
        if let Some(start) = self.open.iter().position(|open| *open == name) {
            let mut cycle = self.open[start..].to_vec();
            cycle.push(name);
            return Err(LinkError::Cycle {
                file: file(),
                line,
                cycle: cycle.join(" -> "),
            });
        }
        if self.names.contains(&name) {
            return Ok(());
        }
        self.include(&name, &text)?;
        if target == Some("<model>") {
            for (function, stand_in) in STAND_INS {
                if !declares(&text, function) {
                    self.import(&file(), line, &format!("#import \"{stand_in}\""))?;
                }
            }
        }
        Ok(())
    }

    fn read(&self, file: &str, line: u32, path: &str) -> Result<String, LinkError> {
        embedded(path)
            .map(str::to_string)
            .ok_or_else(|| LinkError::Missing {
                file: file.to_string(),
                line,
                path: path.to_string(),
            })
    }
}
