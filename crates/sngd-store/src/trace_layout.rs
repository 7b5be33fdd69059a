//! Checks a schema before anything is written, and defines which arrays are in which group.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use sngd_core::trace::{Dim, NamedArray, TraceSchema, Variable};

use crate::store_error::StoreError;
use crate::trace_mark::Groups;

/// Most draws in a chunk.
pub(crate) const CHUNK_DRAWS: usize = 100;

/// Most bytes of a chunk of several chains.
const CHUNK_BYTES: usize = 4 << 20;

/// Most bytes of draws that wait in memory for a full chunk, over all chains.
const BUFFER_BYTES: usize = 256 << 20;

/// Number of draws in a chunk: 100, or fewer if a hundred draws of all chains would not fit the buffer.
pub(crate) fn chunk_draws(schema: &TraceSchema) -> usize {
    let a_draw =
        schema.chains.max(1) * (schema.parameters + schema.stats.len()).max(1) * size_of::<f64>();
    (BUFFER_BYTES / a_draw).clamp(1, CHUNK_DRAWS)
}

/// Number of chains in a chunk: all, or as many as make a chunk of a few megabytes, so that a trace does not have thousands of files.
pub(crate) fn chunk_chains(chains: usize, draws: usize, elements: usize) -> usize {
    let a_chain = draws.max(1) * elements.max(1) * size_of::<f64>();
    (CHUNK_BYTES / a_chain).clamp(1, chains.max(1))
}

/// Refuses a schema that a Zarr group cannot store or a reader cannot tell apart.
pub(crate) fn check(schema: &TraceSchema) -> Result<(), StoreError> {
    if schema.chains == 0 {
        return refuse("it has no chains".into());
    }
    let variables = schema.variables.iter();
    coordinates(
        "posterior",
        variables
            .clone()
            .map(|v| (v.name.as_str(), v.dims.as_slice())),
        &["chain", "draw"],
    )?;
    for variable in variables {
        check_index(variable, schema.parameters)?;
    }
    coordinates(
        "sample_stats",
        schema
            .stats
            .iter()
            .map(|s| (s.name.as_str(), &[] as &[Dim])),
        &["chain", "draw"],
    )?;
    for (group, arrays) in [
        ("observed_data", &schema.observed),
        ("constant_data", &schema.constant),
    ] {
        coordinates(
            group,
            arrays.iter().map(|a| (a.name.as_str(), a.dims.as_slice())),
            &[],
        )?;
        for array in arrays {
            shape_of(array)?;
        }
    }
    Ok(())
}

/// Every group of a trace, with the names of its arrays, coordinates included.
pub(crate) fn groups(schema: &TraceSchema) -> Result<Groups, StoreError> {
    let variables: Vec<(&str, &[Dim])> = schema
        .variables
        .iter()
        .map(|v| (v.name.as_str(), v.dims.as_slice()))
        .collect();
    let stats: Vec<(&str, &[Dim])> = schema
        .stats
        .iter()
        .map(|s| (s.name.as_str(), &[] as &[Dim]))
        .collect();
    let mut groups = Groups::new();
    let phases: &[&str] = if schema.save_warmup {
        &["", "warmup_"]
    } else {
        &[""]
    };
    for phase in phases {
        for (group, arrays) in [("posterior", &variables), ("sample_stats", &stats)] {
            let names = names(group, arrays, &["chain", "draw"])?;
            groups.insert(format!("{phase}{group}"), names);
        }
    }
    for (group, arrays) in [
        ("observed_data", &schema.observed),
        ("constant_data", &schema.constant),
    ] {
        let arrays: Vec<(&str, &[Dim])> = arrays
            .iter()
            .map(|a| (a.name.as_str(), a.dims.as_slice()))
            .collect();
        if !arrays.is_empty() {
            groups.insert(group.into(), names(group, &arrays, &[])?);
        }
    }
    Ok(groups)
}

/// Names of the arrays, of their coordinates, and of the arrays that the group has in any case.
pub(crate) fn names(
    group: &str,
    arrays: &[(&str, &[Dim])],
    anyway: &[&str],
) -> Result<BTreeSet<String>, StoreError> {
    let coordinates = coordinates(group, arrays.iter().copied(), anyway)?;
    let coordinates = coordinates.iter().filter(|(_, labels)| !labels.is_empty());
    let names = arrays.iter().map(|(name, _)| *name);
    let names = names.chain(coordinates.map(|(name, _)| *name));
    Ok(names
        .chain(anyway.iter().copied())
        .map(str::to_owned)
        .collect())
}

/// The coordinate labels of each named dimension of a group; a dimension without labels has no coordinate.
pub(crate) fn coordinates<'a>(
    group: &str,
    arrays: impl Iterator<Item = (&'a str, &'a [Dim])>,
    reserved: &[&str],
) -> Result<BTreeMap<&'a str, &'a [String]>, StoreError> {
    let mut names = HashSet::new();
    let mut coordinates: BTreeMap<&str, &[String]> = BTreeMap::new();
    for (name, dims) in arrays {
        check_name(group, name)?;
        if reserved.contains(&name) || !names.insert(name) {
            return refuse(format!(
                "the name `{name}` is used twice in group `{group}`; rename one"
            ));
        }
        let mut own = HashSet::new();
        for dim in dims {
            check_name(group, &dim.name)?;
            if reserved.contains(&dim.name.as_str()) || !own.insert(dim.name.as_str()) {
                return refuse(format!(
                    "`{name}` has the dimension `{}` twice; rename one",
                    dim.name
                ));
            }
            let labels = coordinates.entry(&dim.name).or_insert(&dim.labels);
            if *labels != dim.labels.as_slice() {
                return refuse(format!(
                    "the dimension `{}` has other labels in `{name}` than in another variable of group `{group}`; give \
                     the two dimensions two names",
                    dim.name
                ));
            }
        }
    }
    if let Some(clash) = coordinates.keys().find(|dim| names.contains(*dim)) {
        return refuse(format!(
            "`{clash}` names both a variable and a dimension of group `{group}`; rename one"
        ));
    }
    Ok(coordinates)
}

/// Lengths of the dimensions of a named array. One dimension may have no labels: its length follows from the values.
pub(crate) fn shape_of(array: &NamedArray) -> Result<Vec<usize>, StoreError> {
    let labelled: usize = array
        .dims
        .iter()
        .map(|dim| dim.labels.len())
        .filter(|&length| length > 0)
        .product();
    let unlabelled = array
        .dims
        .iter()
        .filter(|dim| dim.labels.is_empty())
        .count();
    let length = match unlabelled {
        0 => 0,
        _ => array.values.len() / labelled,
    };
    let shape: Vec<usize> = array
        .dims
        .iter()
        .map(|d| {
            if d.labels.is_empty() {
                length
            } else {
                d.labels.len()
            }
        })
        .collect();
    if unlabelled > 1 || shape.iter().product::<usize>() != array.values.len() {
        return refuse(format!(
            "`{}` has {} values, which do not fill the shape {shape:?}",
            array.name,
            array.values.len()
        ));
    }
    Ok(shape)
}

/// A variable with the coordinate labels of one of its elements, e.g. `weights[setosa, width]`.
pub(crate) fn element_name(variable: &Variable, element: usize) -> String {
    if variable.dims.is_empty() {
        return variable.name.clone();
    }
    let mut rest = element;
    let mut labels: Vec<&str> = Vec::new();
    for dim in variable.dims.iter().rev() {
        let length = dim.labels.len().max(1);
        labels.push(dim.labels.get(rest % length).map_or("?", String::as_str));
        rest /= length;
    }
    labels.reverse();
    format!("{}[{}]", variable.name, labels.join(", "))
}

fn check_index(variable: &Variable, parameters: usize) -> Result<(), StoreError> {
    let elements: usize = variable.dims.iter().map(|dim| dim.labels.len()).product();
    if variable.index.len() != elements {
        return refuse(format!(
            "`{}` has {} positions where its labels make {elements} elements",
            variable.name,
            variable.index.len()
        ));
    }
    match variable.index.iter().find(|&&p| p >= parameters) {
        Some(p) => refuse(format!(
            "`{}` points at parameter {p} where there are {parameters}",
            variable.name
        )),
        None => Ok(()),
    }
}

fn check_name(group: &str, name: &str) -> Result<(), StoreError> {
    let usable = !name.is_empty()
        && !name.contains(['/', '\\', '\0'])
        && !name.starts_with("__")
        && !name.starts_with('.');
    if usable && name != "zarr.json" {
        Ok(())
    } else {
        refuse(format!(
            "{name:?} in group `{group}` cannot be a name in Zarr; use a name of letters, digits and `_`"
        ))
    }
}

fn refuse<T>(detail: String) -> Result<T, StoreError> {
    Err(StoreError::Schema(detail))
}
