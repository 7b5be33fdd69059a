//! Which columns of a file are selected, and what each one is used for.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use sngd_core::config::MissingCells;
use sngd_core::table::{ResponseKind, TableRequest};

use crate::data_error::DataError;

/// What a selected column is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// A feature, with its column in `features[N,D]`.
    Feature(usize),
    /// The response read as numbers.
    Number,
    /// The response read as labels.
    Label,
    /// The trials of a binomial response.
    Trials,
    /// The offset or exposure.
    Offset,
    /// The weights of the rows.
    Weights,
}

/// A request matched with the column names of a file.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    pub feature_names: Vec<String>,
    pub response: String,
    pub response_kind: ResponseKind,
    pub trials: Option<String>,
    pub offset: Option<String>,
    pub weights: Option<String>,
    pub missing: MissingCells,
    /// `(column of the file, slot)`, in the file's order.
    pub slots: Vec<(usize, Slot)>,
    /// Remarks on columns that are left out, one sentence each, for the user.
    pub notes: Vec<String>,
}

/// The columns of a file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Columns {
    /// Their names, in the file's order.
    pub names: Vec<String>,
    /// Those that number or name the rows, which are no features unless they are asked for: each with what it is, in words.
    pub index: Vec<(usize, String)>,
}

impl Columns {
    /// Columns none of which is an index; a file without columns is refused.
    pub fn new(path: &str, names: Vec<String>) -> Result<Self, DataError> {
        match names.is_empty() {
            true => Err(DataError::NoColumns { path: path.into() }),
            false => Ok(Self {
                names,
                index: Vec::new(),
            }),
        }
    }

    /// The names of the columns that are no index.
    pub fn names(&self) -> Vec<String> {
        let named = self.names.iter().enumerate();
        named
            .filter(|(i, _)| !self.is_index(*i))
            .map(|(_, name)| name.clone())
            .collect()
    }

    fn is_index(&self, column: usize) -> bool {
        self.index.iter().any(|&(index, _)| index == column)
    }
}

impl Selection {
    /// Matches `request` with the columns of a file. A column that is used has a name, which no other has.
    pub fn resolve(
        path: &str,
        columns: &Columns,
        request: &TableRequest,
    ) -> Result<Self, DataError> {
        let names = columns.names.as_slice();
        let mut position: HashMap<&str, usize> = HashMap::with_capacity(names.len());
        let mut twice: HashMap<&str, usize> = HashMap::new();
        for (i, name) in names
            .iter()
            .enumerate()
            .filter(|(_, name)| !name.is_empty())
        {
            match position.entry(name) {
                Entry::Vacant(first) => drop(first.insert(i)),
                Entry::Occupied(_) => drop(twice.entry(name).or_insert(i)),
            }
        }
        let single = |name: &str, first: usize, listed| match twice.get(name) {
            None => Ok(first),
            Some(&second) => Err(DataError::DuplicateColumn {
                path: path.into(),
                name: name.into(),
                first: first + 1,
                second: second + 1,
                listed,
            }),
        };
        let find = |name: &str, role| match position.get(name) {
            Some(&column) => single(name, column, true),
            None => Err(unknown_column(path, &columns.names(), name, role)),
        };
        let mut used: Vec<Option<&'static str>> = vec![None; names.len()];
        let mut take = |column: usize, role: &'static str| match used[column].replace(role) {
            None => Ok(()),
            Some(first) => Err(DataError::UsedTwice {
                path: path.into(),
                name: names[column].clone(),
                first,
                second: role,
            }),
        };

        let mut slots = Vec::new();
        let response = find(&request.response, "response")?;
        take(response, "response")?;
        slots.push((
            response,
            match request.response_kind {
                ResponseKind::Number => Slot::Number,
                ResponseKind::Label => Slot::Label,
            },
        ));
        for (name, role, slot) in [
            (&request.trials, request.trials_role, Slot::Trials),
            (&request.offset, "offset", Slot::Offset),
            (&request.weights, "weights", Slot::Weights),
        ] {
            if let Some(name) = name {
                let column = find(name, role)?;
                take(column, role)?;
                slots.push((column, slot));
            }
        }
        let features = match &request.features {
            Some(wanted) => wanted
                .iter()
                .map(|name| {
                    find(name, "feature")
                        .and_then(|column| take(column, "feature").map(|()| column))
                })
                .collect::<Result<Vec<_>, _>>()?,
            None => (0..names.len())
                .filter(|&column| used[column].is_none() && !columns.is_index(column))
                .map(|column| match names[column].as_str() {
                    "" => Err(DataError::UnnamedColumn {
                        path: path.into(),
                        position: column + 1,
                    }),
                    name => single(name, position.get(name).copied().unwrap_or(column), false)
                        .map(|_| column),
                })
                .collect::<Result<Vec<_>, _>>()?,
        };
        let notes = match request.features {
            Some(_) => Vec::new(),
            None => (columns.index.iter())
                .filter(|&&(column, _)| used[column].is_none())
                .map(|(_, what)| format!("left out {what}"))
                .collect(),
        };
        slots.extend(
            features
                .iter()
                .enumerate()
                .map(|(d, &column)| (column, Slot::Feature(d))),
        );
        slots.sort_unstable_by_key(|&(column, _)| column);
        Ok(Self {
            feature_names: features
                .iter()
                .map(|&column| names[column].clone())
                .collect(),
            response: request.response.clone(),
            response_kind: request.response_kind,
            trials: request.trials.clone(),
            offset: request.offset.clone(),
            weights: request.weights.clone(),
            missing: request.missing,
            slots,
            notes,
        })
    }

    /// Name of the column behind a slot.
    pub fn name(&self, slot: Slot) -> &str {
        match slot {
            Slot::Feature(d) => &self.feature_names[d],
            Slot::Number | Slot::Label => &self.response,
            Slot::Trials => self.trials.as_deref().unwrap_or_default(),
            Slot::Offset => self.offset.as_deref().unwrap_or_default(),
            Slot::Weights => self.weights.as_deref().unwrap_or_default(),
        }
    }
}

fn unknown_column(path: &str, names: &[String], name: &str, role: &'static str) -> DataError {
    const LISTED: usize = 10;
    let names: Vec<&String> = names.iter().filter(|name| !name.is_empty()).collect();
    let wanted = name.to_lowercase();
    let nearest = names
        .iter()
        .map(|&known| (strsim::jaro_winkler(&wanted, &known.to_lowercase()), known))
        .filter(|&(likeness, _)| likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known.to_string());
    DataError::UnknownColumn {
        path: path.into(),
        name: name.into(),
        role,
        nearest,
        existing: names
            .iter()
            .take(LISTED)
            .map(|&known| known.clone())
            .collect(),
        more: names.len().saturating_sub(LISTED),
    }
}
