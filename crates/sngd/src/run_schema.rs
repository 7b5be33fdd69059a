//! What a run file may contain: every key, and which values it takes. `run_file` reads by this table, so that a message
//! can say what was expected; a test compares the table with `Config`.

use sngd_core::error::nearest;
use toml::Value;

/// Which values a key takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// A text, or a whole number of 1 or more.
    CountOrText,
    /// A text that is not empty.
    Path,
    /// `true` or `false`.
    Flag,
    /// A number.
    Number,
    /// A whole number within these bounds, both included.
    Count(u64, u64),
    /// One of these words.
    Words(&'static [&'static str]),
    /// A text, a number, `true` or `false`.
    Label,
    /// A list of texts.
    Names,
    /// A list of whole numbers of 1 or more.
    Counts,
    /// A number, or one of these words.
    NumberOr(&'static [&'static str]),
    /// A whole number of 1 or more, or one of these words.
    CountOr(&'static [&'static str]),
    /// A whole number not below this one, or `auto`.
    WholeOrAuto(u64),
    /// A number, `auto`, or a table with a `kind`.
    StepSize,
    /// A table that says when a run has enough draws.
    Until,
}

/// A key, the values it takes, and whether a run file must have it.
pub(crate) struct Key {
    pub name: &'static str,
    pub kind: Kind,
    pub required: bool,
}

const fn key(name: &'static str, kind: Kind) -> Key {
    Key {
        name,
        kind,
        required: false,
    }
}

const fn required(name: &'static str, kind: Kind) -> Key {
    Key {
        name,
        kind,
        required: true,
    }
}

const ANY: Kind = Kind::Count(0, u32::MAX as u64);
const AUTO_ONE: Kind = Kind::WholeOrAuto(1);
const ONE: Kind = Kind::Count(1, u32::MAX as u64);

/// Keys outside a section.
pub(crate) const ROOT: &[Key] = &[
    key("seed", Kind::Count(0, i64::MAX as u64)),
    // Otherwise a section.
    key("prior", Kind::Words(&["default"])),
];

/// Sections and their keys. `[prior]` takes any key: `Problem::build` knows the columns.
pub(crate) const SECTIONS: &[(&str, &[Key])] = &[
    (
        "data",
        &[
            required("path", Kind::Path),
            required("response", Kind::Text),
            key("positive", Kind::Label),
            key("features", Kind::Names),
            key("intercept", Kind::Flag),
            key("standardize", Kind::Flag),
            key("test_fraction", Kind::Number),
            key("offset", Kind::Text),
            key("exposure", Kind::Text),
            key("weights", Kind::Text),
            key("weights_kind", Kind::Words(&["frequency", "precision"])),
            key("missing", Kind::Words(&["refuse", "drop"])),
            key("storage", Kind::Words(&["f32", "f16", "bf16"])),
        ],
    ),
    (
        "model",
        &[
            key("predictor", Kind::Words(&["linear", "mlp"])),
            key("hidden", Kind::Counts),
            key("activation", Kind::Words(&["tanh", "relu", "gelu"])),
            key("bias", Kind::Flag),
            required(
                "likelihood",
                Kind::Words(&[
                    "gaussian",
                    "bernoulli",
                    "binomial",
                    "poisson",
                    "softmax",
                    "custom",
                ]),
            ),
            key("link", Kind::Words(&["logit", "probit", "cloglog", "log"])),
            key("scale", Kind::NumberOr(&["unknown"])),
            key("trials", Kind::CountOrText),
            key("failures", Kind::Text),
            key("baseline", Kind::Words(&["none", "first"])),
            key("wgsl", Kind::Text),
            key("outputs", ONE),
            key("auxiliary", Kind::Text),
            key("companion", Kind::Text),
        ],
    ),
    ("prior", &[]),
    (
        "sampler",
        &[
            key(
                "method",
                Kind::Words(&["auto", "sngd", "ngd", "sgld", "psgld", "sgrld", "mala"]),
            ),
            key("metric", Kind::Words(&["auto", "state", "mode"])),
            key(
                "gradient",
                Kind::Words(&["auto", "plain", "control_variates"]),
            ),
            key("target", Kind::Words(&["posterior", "jeffreys"])),
            key("temperature", Kind::Number),
            key("step_size", Kind::StepSize),
            key("batch_size", Kind::CountOr(&["full", "auto"])),
            key(
                "batches",
                Kind::Words(&["with_replacement", "without_replacement", "epochs"]),
            ),
            key(
                "fisher",
                Kind::Words(&["exact", "monte_carlo", "empirical"]),
            ),
            key("fisher_rows", Kind::CountOr(&["full", "batch"])),
            key("fisher_labels", ONE),
            key("fisher_refresh", ONE),
            key(
                "blocks",
                Kind::Words(&["full", "layer", "unit", "diagonal"]),
            ),
            key(
                "noise",
                Kind::Words(&["residual", "nominal", "full", "none"]),
            ),
            key("noise_rows", Kind::Words(&["fisher", "batch"])),
            key("integrator", Kind::Words(&["ou", "euler"])),
            key(
                "correction",
                Kind::Words(&["auto", "closed_form", "probe", "finite_difference", "off"]),
            ),
            key("probes", ONE),
            key("damping", Kind::NumberOr(&["auto"])),
        ],
    ),
    (
        "run",
        &[
            key("chains", AUTO_ONE),
            key("warmup", Kind::WholeOrAuto(0)),
            key("draws", ONE),
            key("thin", AUTO_ONE),
            key("until", Kind::Until),
            key("checkpoint_seconds", Kind::Number),
            key("device", Kind::Text),
            key("precision", Kind::Words(&["f32", "f64"])),
            key("init", Kind::Words(&["map", "prior", "zero", "standard"])),
            key("init_scale", Kind::Number),
            key("save_warmup", Kind::Flag),
            key("threads", Kind::Count(1, 4096)),
            key("superchains", ANY),
        ],
    ),
    (
        "output",
        &[key("path", Kind::Path), key("log_likelihood", Kind::Flag)],
    ),
];

const POLYNOMIAL: &[&str] = &["kind", "initial", "offset", "power"];
const CYCLICAL: &[&str] = &["kind", "initial", "cycle", "floor"];

/// A value as a message shows it.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::String(s) => format!("the text \"{s}\""),
        Value::Integer(i) => i.to_string(),
        Value::Float(f) => f.to_string(),
        Value::Boolean(b) => b.to_string(),
        Value::Datetime(d) => format!("the date {d}"),
        Value::Array(_) => "a list".into(),
        Value::Table(_) => "a table".into(),
    }
}

fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|w| format!("\"{w}\"")).collect();
    match quoted.as_slice() {
        [one] => one.clone(),
        [head @ .., last] => format!("{} or {last}", head.join(", ")),
        [] => String::new(),
    }
}

/// Most units of a hidden layer, and most hidden layers.
const MOST_UNITS: i64 = 65_536;
const MOST_LAYERS: usize = 64;

/// Words that people try, each with the one that is meant.
const MEANT: [(&str, &str); 6] = [
    ("normal", "gaussian"),
    ("linear", "gaussian"),
    ("logistic", "bernoulli"),
    ("binary", "bernoulli"),
    ("multinomial", "softmax"),
    ("categorical", "softmax"),
];

/// `; did you mean "x"?`, or nothing.
pub(crate) fn hint<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let meant = MEANT
        .iter()
        .find(|(tried, meant)| *tried == name && known.contains(meant));
    let near = meant
        .map(|m| m.1)
        .or_else(|| nearest(name, known.iter().copied()));
    near.map_or(String::new(), |n| format!("; did you mean \"{n}\"?"))
}

fn number(value: &Value) -> bool {
    matches!(value, Value::Integer(_) | Value::Float(_))
}

impl Kind {
    /// The text `found ..., expected ...`, or nothing if the value is allowed.
    pub(crate) fn check(self, value: &Value) -> Result<(), String> {
        let wrong = |expected: String| Err(format!("found {}, expected {expected}", shown(value)));
        let word = |words: &[&'static str], also: &str| match value {
            Value::String(s) if words.contains(&s.as_str()) => Ok(()),
            Value::String(s) => Err(format!(
                "found \"{s}\", expected {also}{}{}",
                one_of(words),
                hint(s, words.iter().copied())
            )),
            _ => wrong(format!("{also}{}", one_of(words))),
        };
        match self {
            Kind::Text => match value {
                Value::String(_) => Ok(()),
                Value::Table(inner) if !inner.is_empty() => wrong(format!(
                    "a text in quotes; a name with a dot is written in quotes too, as \"weights.{}\"",
                    inner.keys().next().map_or("x", String::as_str)
                )),
                _ => wrong("a text in quotes".into()),
            },
            Kind::CountOrText => match value {
                Value::String(_) => Ok(()),
                Value::Integer(i) if (1..=i64::from(u32::MAX)).contains(i) => Ok(()),
                _ => wrong("a column in quotes, or a whole number of 1 or more".into()),
            },
            Kind::Path => match value {
                Value::String(s) if !s.trim().is_empty() => Ok(()),
                Value::String(_) => Err("found an empty text, expected a path".into()),
                _ => wrong("a path in quotes".into()),
            },
            Kind::Label if value.is_str() || value.is_bool() || number(value) => Ok(()),
            Kind::Label => wrong("a label in quotes, a number, true or false".into()),
            Kind::Flag => match value {
                Value::Boolean(_) => Ok(()),
                _ => wrong("true or false".into()),
            },
            Kind::Number if number(value) => Ok(()),
            Kind::Number => wrong("a number".into()),
            Kind::Count(low, high) => match value {
                Value::Integer(i) if u64::try_from(*i).is_ok_and(|i| low <= i && i <= high) => {
                    Ok(())
                }
                _ => wrong(format!("a whole number from {low} to {high}")),
            },
            Kind::Words(words) => word(words, ""),
            Kind::Counts => match value {
                Value::Array(items) => {
                    let wrong = |i: &&Value| {
                        i.as_integer()
                            .is_none_or(|n| !(1..=MOST_UNITS).contains(&n))
                    };
                    match items.iter().find(wrong) {
                        None if items.len() > MOST_LAYERS => Err(format!(
                            "found {} layers, expected at most {MOST_LAYERS}",
                            items.len()
                        )),
                        None => Ok(()),
                        Some(item) => Err(format!(
                            "found {} in the list, expected whole numbers from 1 to {MOST_UNITS}",
                            shown(item)
                        )),
                    }
                }
                _ => wrong("a list of whole numbers such as [32, 16]".into()),
            },
            Kind::Names => match value {
                Value::Array(items) => match items.iter().find(|i| !i.is_str()) {
                    None => Ok(()),
                    Some(item) => Err(format!(
                        "found {} in the list, expected column names in quotes",
                        shown(item)
                    )),
                },
                _ => wrong("a list of column names such as [\"a\", \"b\"]".into()),
            },
            Kind::NumberOr(_) if number(value) => Ok(()),
            Kind::NumberOr(words) => word(words, "a number or "),
            Kind::CountOr(words) => match value {
                Value::Integer(i) if (1..=i64::from(u32::MAX)).contains(i) => Ok(()),
                _ => word(words, "a whole number of 1 or more, "),
            },
            Kind::WholeOrAuto(low) => match value {
                Value::String(s) if s == "auto" => Ok(()),
                Value::Integer(i)
                    if u64::try_from(*i).is_ok_and(|i| low <= i && i <= u64::from(u32::MAX)) =>
                {
                    Ok(())
                }
                _ => wrong(format!(
                    "a whole number from {low} to {}, or \"auto\"",
                    u32::MAX
                )),
            },
            Kind::StepSize if number(value) => Ok(()),
            Kind::StepSize if value.as_str() == Some("auto") => Ok(()),
            Kind::StepSize => step_size(value),
            Kind::Until => until(value),
        }
    }
}

fn until(value: &Value) -> Result<(), String> {
    const EXPECTED: &str = "a table such as { ess = 1000 } or { mcse = 0.02, max_draws = 20000 }";
    const KNOWN: &[&str] = &["ess", "mcse", "max_draws"];
    let Value::Table(table) = value else {
        return Err(format!("found {}, expected {EXPECTED}", shown(value)));
    };
    for (name, value) in table {
        if !KNOWN.contains(&name.as_str()) {
            return Err(format!(
                "found unknown key \"{name}\", expected {}{}",
                one_of(KNOWN),
                hint(name, KNOWN.iter().copied())
            ));
        }
        let positive = match value {
            Value::Integer(i) => *i > 0,
            Value::Float(f) => *f > 0.0 && f.is_finite() && name != "max_draws",
            _ => false,
        };
        if !positive {
            return Err(format!(
                "found {name} = {}, expected a positive number",
                shown(value)
            ));
        }
    }
    if table.contains_key("ess") || table.contains_key("mcse") {
        Ok(())
    } else {
        Err(format!("found neither ess nor mcse, expected {EXPECTED}"))
    }
}

fn step_size(value: &Value) -> Result<(), String> {
    let Value::Table(table) = value else {
        return Err(format!(
            "found {}, expected a number in (0, 1], \"auto\" or a table such as {{ kind = \"polynomial\", initial = 0.3 }}",
            shown(value)
        ));
    };
    let kinds = ["polynomial", "cyclical"];
    let known = match table.get("kind").and_then(Value::as_str) {
        Some("polynomial") => POLYNOMIAL,
        Some("cyclical") => CYCLICAL,
        Some(other) => {
            return Err(format!(
                "found kind = \"{other}\", expected {}{}",
                one_of(&kinds),
                hint(other, kinds)
            ));
        }
        None => {
            return Err(format!(
                "found a table without kind, expected kind = {}",
                one_of(&kinds)
            ));
        }
    };
    for (name, value) in table {
        if !known.contains(&name.as_str()) {
            return Err(format!(
                "found unknown key \"{name}\", expected {}{}",
                one_of(known),
                hint(name, known.iter().copied())
            ));
        }
        let ok = match name.as_str() {
            "kind" => true,
            "cycle" => value
                .as_integer()
                .is_some_and(|i| (1..=i64::from(u32::MAX)).contains(&i)),
            _ => number(value),
        };
        if !ok {
            let expected = if name == "cycle" {
                "a whole number of steps of 1 or more"
            } else {
                "a number"
            };
            return Err(format!(
                "found {name} = {}, expected {expected}",
                shown(value)
            ));
        }
    }
    let needed: &[&str] = if known == CYCLICAL {
        &["initial", "cycle"]
    } else {
        &["initial"]
    };
    match needed.iter().find(|n| !table.contains_key(**n)) {
        Some(n) => Err(format!(
            "found a table without {n}, expected {n} beside kind"
        )),
        None => Ok(()),
    }
}
