//! Which columns of a file are selected, and what each one is used for.

use std::collections::HashMap;

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
}

impl Selection {
    /// Matches `request` with `names`, which [`check_names`] has checked before.
    pub fn resolve(
        path: &str,
        names: &[String],
        request: &TableRequest,
    ) -> Result<Self, DataError> {
        let position: HashMap<&str, usize> = names
            .iter()
            .enumerate()
            .map(|(i, name)| (name.as_str(), i))
            .collect();
        let find = |name: &str, role| {
            position
                .get(name)
                .copied()
                .ok_or_else(|| unknown_column(path, names, name, role))
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
                .filter(|&column| used[column].is_none())
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

/// Refuses a file without columns, with unnamed ones or with a name twice.
pub(crate) fn check_names(path: &str, names: Vec<String>) -> Result<Vec<String>, DataError> {
    if names.is_empty() {
        return Err(DataError::NoColumns { path: path.into() });
    }
    let mut seen = HashMap::with_capacity(names.len());
    for (i, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err(DataError::UnnamedColumn {
                path: path.into(),
                position: i + 1,
            });
        }
        if let Some(first) = seen.insert(name.as_str(), i) {
            return Err(DataError::DuplicateColumn {
                path: path.into(),
                name: name.clone(),
                first: first + 1,
                second: i + 1,
            });
        }
    }
    Ok(names)
}

fn unknown_column(path: &str, names: &[String], name: &str, role: &'static str) -> DataError {
    const LISTED: usize = 10;
    let wanted = name.to_lowercase();
    let nearest = names
        .iter()
        .map(|known| (strsim::jaro_winkler(&wanted, &known.to_lowercase()), known))
        .filter(|&(likeness, _)| likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known.clone());
    DataError::UnknownColumn {
        path: path.into(),
        name: name.into(),
        role,
        nearest,
        existing: names.iter().take(LISTED).cloned().collect(),
        more: names.len().saturating_sub(LISTED),
    }
}
