//! Reads a trace back, complete or still growing.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use sngd_core::trace::{Dim, NamedArray};
use zarrs::array::{Array, ArraySubset, data_type};
use zarrs::filesystem::FilesystemStore;
use zarrs::group::Group;

use crate::store_error::StoreError;

/// Which draws to read: the kept ones or, if they were stored, those of the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Kept draws: the groups `posterior` and `sample_stats`.
    Draws,
    /// Warm-up draws: the groups `warmup_posterior` and `warmup_sample_stats`.
    Warmup,
}

impl Phase {
    fn groups(self) -> [&'static str; 2] {
        match self {
            Self::Draws => ["posterior", "sample_stats"],
            Self::Warmup => ["warmup_posterior", "warmup_sample_stats"],
        }
    }
}

/// A variable or a statistic of a trace: its name, and its dimensions after `chain, draw`.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredArray {
    /// Name of the array in its group.
    pub name: String,
    /// Dimensions with their labels; a dimension without a coordinate has the labels `0`, `1`, ...
    pub dims: Vec<Dim>,
}

/// All draws of one variable.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// Name and dimensions.
    pub array: StoredArray,
    /// Number of draws per chain, n.
    pub draws: usize,
    /// Number of chains, C.
    pub chains: usize,
    /// Number of elements of a draw, E: the product of the dimensions' lengths, 1 for a scalar.
    pub elements: usize,
    /// Values of all draws, `[n, C, E]`, row-major; booleans are 0 and 1.
    pub values: Vec<f64>,
}

/// A trace, as it was when it was opened.
#[derive(Debug)]
pub struct TraceReader {
    path: String,
    attributes: Vec<(String, String)>,
    draws: PhaseReader,
    warmup: Option<PhaseReader>,
    opener: Opener,
    constant: Vec<NamedArray>,
}

type Store = FilesystemStore;

#[derive(Debug)]
struct PhaseReader {
    chains: usize,
    draws: usize,
    variables: Vec<(StoredArray, Array<Store>)>,
    stats: Vec<(StoredArray, Array<Store>)>,
}

impl TraceReader {
    /// Opens a trace. Its length is fixed at this moment: the draws that every array has, even if a run still writes to it.
    ///
    /// # Errors
    /// [`StoreError::NotATrace`] if there is no trace, [`StoreError::Damaged`] if its metadata cannot be read.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let shown = path.display().to_string();
        let not_a_trace = |found: &str| StoreError::NotATrace {
            path: shown.clone(),
            found: found.into(),
        };
        if !path.exists() {
            return Err(not_a_trace("nothing"));
        }
        if !path.join("zarr.json").is_file() {
            return Err(not_a_trace(if path.is_dir() {
                "a directory without zarr.json"
            } else {
                "a file"
            }));
        }
        let opener = Opener {
            store: Arc::new(Store::new(path).map_err(|e| not_a_trace(&e.to_string()))?),
            path: shown.clone(),
        };
        let attributes = opener
            .group("")?
            .attributes()
            .iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect();
        let draws = opener
            .phase(Phase::Draws)?
            .ok_or_else(|| not_a_trace("a Zarr directory without a posterior group"))?;
        Ok(Self {
            attributes,
            draws,
            warmup: opener.phase(Phase::Warmup)?,
            constant: opener.fixed("constant_data")?,
            opener,
            path: shown,
        })
    }

    /// Number of chains, C.
    pub fn chains(&self) -> usize {
        self.draws.chains
    }

    /// Number of draws per chain; 0 for a warm-up that was not stored.
    pub fn draws(&self, phase: Phase) -> usize {
        match phase {
            Phase::Draws => self.draws.draws,
            Phase::Warmup => self.warmup.as_ref().map_or(0, |warmup| warmup.draws),
        }
    }

    /// The variables of the posterior, in the order of the run's schema.
    pub fn variables(&self) -> impl Iterator<Item = &StoredArray> {
        self.draws.variables.iter().map(|(stored, _)| stored)
    }

    /// The per-draw statistics, in the order of the run's schema.
    pub fn stats(&self) -> impl Iterator<Item = &StoredArray> {
        self.draws.stats.iter().map(|(stored, _)| stored)
    }

    /// Attributes of the root; those that are not strings are given as JSON.
    pub fn attributes(&self) -> &[(String, String)] {
        &self.attributes
    }

    /// One attribute of the root, by name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The arrays of `observed_data`, which are read now: they are as long as the data.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if they cannot be read.
    pub fn observed(&self) -> Result<Vec<NamedArray>, StoreError> {
        self.opener.fixed("observed_data")
    }

    /// The arrays of `constant_data`.
    pub fn constant(&self) -> &[NamedArray] {
        &self.constant
    }

    /// Reads all draws of a variable.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] if there is no variable of that name, [`StoreError::Damaged`] if it cannot be decoded.
    pub fn samples(&self, phase: Phase, variable: &str) -> Result<Samples, StoreError> {
        let draws = 0..self.draws(phase);
        self.samples_of(phase, variable, draws)
    }

    /// Reads some draws of a variable.
    ///
    /// # Errors
    /// As [`TraceReader::samples`].
    pub fn samples_of(
        &self,
        phase: Phase,
        variable: &str,
        draws: Range<usize>,
    ) -> Result<Samples, StoreError> {
        let reader = self.phase(phase)?;
        self.read(
            phase.groups()[0],
            reader,
            &reader.variables,
            variable,
            draws,
        )
    }

    /// Reads all draws of a statistic.
    ///
    /// # Errors
    /// As [`TraceReader::samples`].
    pub fn stat(&self, phase: Phase, name: &str) -> Result<Samples, StoreError> {
        let draws = 0..self.draws(phase);
        self.stat_of(phase, name, draws)
    }

    /// Reads some draws of a statistic.
    ///
    /// # Errors
    /// As [`TraceReader::samples`].
    pub fn stat_of(
        &self,
        phase: Phase,
        name: &str,
        draws: Range<usize>,
    ) -> Result<Samples, StoreError> {
        let reader = self.phase(phase)?;
        self.read(phase.groups()[1], reader, &reader.stats, name, draws)
    }

    fn phase(&self, phase: Phase) -> Result<&PhaseReader, StoreError> {
        match phase {
            Phase::Draws => Ok(&self.draws),
            Phase::Warmup => self.warmup.as_ref().ok_or_else(|| StoreError::Unknown {
                path: self.path.clone(),
                what: "group",
                name: "warmup_posterior".into(),
                existing: "the kept draws only, the run did not store its warm-up".into(),
            }),
        }
    }

    fn read(
        &self,
        group: &str,
        reader: &PhaseReader,
        arrays: &[(StoredArray, Array<Store>)],
        name: &str,
        asked: Range<usize>,
    ) -> Result<Samples, StoreError> {
        let path = format!("{}/{group}", self.path);
        let Some((stored, array)) = arrays.iter().find(|(stored, _)| stored.name == name) else {
            let existing = arrays
                .iter()
                .map(|(stored, _)| format!("`{}`", stored.name))
                .collect::<Vec<_>>()
                .join(", ");
            return Err(StoreError::Unknown {
                path,
                what: "variable",
                name: name.into(),
                existing,
            });
        };
        let (first, draws) = (asked.start, asked.len());
        let chains = reader.chains;
        let mut shape = array.shape().to_vec();
        (shape[0], shape[1]) = (chains as u64, draws as u64);
        let elements = shape[2..].iter().product::<u64>() as usize;
        let mut start = vec![0; shape.len()];
        start[1] = first as u64;
        let subset =
            ArraySubset::new_with_start_shape(start, shape).map_err(|e| StoreError::Damaged {
                path: format!("{path}/{name}"),
                detail: e.to_string(),
            })?;
        all_chunks_there(&self.path, array, &subset)?;
        let by_chain = numbers(&format!("{path}/{name}"), array, &subset)?;
        let mut values = vec![0.0; by_chain.len()];
        for (at, row) in by_chain.chunks_exact(elements.max(1)).enumerate() {
            let (chain, draw) = (at / draws, at % draws);
            values[(draw * chains + chain) * elements..][..elements].copy_from_slice(row);
        }
        Ok(Samples {
            array: stored.clone(),
            draws,
            chains,
            elements,
            values,
        })
    }
}

#[derive(Debug)]
struct Opener {
    store: Arc<Store>,
    path: String,
}

impl Opener {
    fn group(&self, name: &str) -> Result<Group<Store>, StoreError> {
        Group::open(self.store.clone(), &format!("/{name}")).map_err(|e| self.damaged(name, &e))
    }

    fn exists(&self, group: &str) -> bool {
        Path::new(&self.path)
            .join(group)
            .join("zarr.json")
            .is_file()
    }

    fn phase(&self, phase: Phase) -> Result<Option<PhaseReader>, StoreError> {
        let [posterior, sample_stats] = phase.groups();
        if !self.exists(posterior) {
            return Ok(None);
        }
        let (variables, stats) = (self.growing(posterior)?, self.growing(sample_stats)?);
        // While a run writes, one array may be a chunk ahead of the next: draws are complete up to the shortest.
        let extent = |axis: usize| {
            variables
                .iter()
                .chain(&stats)
                .map(|(_, array)| array.shape()[axis] as usize)
                .min()
        };
        Ok(Some(PhaseReader {
            chains: extent(0).unwrap_or(0),
            draws: extent(1).unwrap_or(0),
            variables,
            stats,
        }))
    }

    /// The arrays over `chain, draw` of a group, in the order of its attribute `variable_order`.
    fn growing(&self, group: &str) -> Result<Vec<(StoredArray, Array<Store>)>, StoreError> {
        if !self.exists(group) {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for (name, dims, array) in self.arrays(group)? {
            if dims.len() >= 2 && dims[0] == "chain" && dims[1] == "draw" {
                found.push((
                    StoredArray {
                        name,
                        dims: self.dims(group, &dims[2..], &array.shape()[2..])?,
                    },
                    array,
                ));
            }
        }
        Ok(found)
    }

    /// The complete arrays of a group that are not coordinates.
    fn fixed(&self, group: &str) -> Result<Vec<NamedArray>, StoreError> {
        if !self.exists(group) {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for (name, dims, array) in self.arrays(group)? {
            if dims != [name.as_str()] {
                let values = numbers(
                    &format!("{}/{group}/{name}", self.path),
                    &array,
                    &array.subset_all(),
                )?;
                found.push(NamedArray {
                    dims: self.dims(group, &dims, array.shape())?,
                    name,
                    values,
                });
            }
        }
        Ok(found)
    }

    fn arrays(&self, group: &str) -> Result<Vec<(String, Vec<String>, Array<Store>)>, StoreError> {
        let opened = self.group(group)?;
        let order = opened
            .attributes()
            .get("variable_order")
            .and_then(|order| order.as_str());
        let order: Vec<String> = order
            .and_then(|order| serde_json::from_str(order).ok())
            .unwrap_or_default();
        let mut arrays = Vec::new();
        for array in opened.child_arrays().map_err(|e| self.damaged(group, &e))? {
            let name = array
                .path()
                .as_str()
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .to_owned();
            let dims = array.dimension_names().clone().unwrap_or_default();
            let dims = dims.into_iter().map(Option::unwrap_or_default).collect();
            arrays.push((name, dims, array));
        }
        let rank = |name: &str| {
            order
                .iter()
                .position(|known| known == name)
                .unwrap_or(order.len())
        };
        arrays.sort_by(|a, b| (rank(&a.0), &a.0).cmp(&(rank(&b.0), &b.0)));
        Ok(arrays)
    }

    fn dims(&self, group: &str, names: &[String], lengths: &[u64]) -> Result<Vec<Dim>, StoreError> {
        let dim = |(name, &length): (&String, &u64)| {
            let path = format!("{group}/{name}");
            let labels = if self.exists(&path) {
                let array = Array::open(self.store.clone(), &format!("/{path}"))
                    .map_err(|e| self.damaged(&path, &e))?;
                array
                    .retrieve_array_subset::<Vec<String>>(&array.subset_all())
                    .map_err(|e| self.damaged(&path, &e))?
            } else {
                (0..length).map(|i| i.to_string()).collect()
            };
            Ok(Dim {
                name: name.clone(),
                labels,
            })
        };
        names.iter().zip(lengths).map(dim).collect()
    }

    fn damaged(&self, inner: &str, error: &dyn std::fmt::Display) -> StoreError {
        StoreError::Damaged {
            path: format!("{}/{inner}", self.path),
            detail: error.to_string(),
        }
    }
}

/// Refuses an array that lacks a chunk of `subset`: a reader would take the fill value for its numbers.
fn all_chunks_there(
    root: &str,
    array: &Array<Store>,
    subset: &ArraySubset,
) -> Result<(), StoreError> {
    let damaged = |detail: String| StoreError::Damaged {
        path: format!("{root}{}", array.path().as_str()),
        detail,
    };
    let chunks = array
        .chunks_in_array_subset(subset)
        .map_err(|e| damaged(e.to_string()))?;
    for chunk in chunks.iter().flat_map(|c| c.indices().into_iter()) {
        let key = array.chunk_key(&chunk);
        if !Path::new(root).join(key.as_str()).is_file() {
            return Err(damaged(format!(
                "its chunk {key} is missing",
                key = key.as_str()
            )));
        }
    }
    Ok(())
}

/// Reads a float64, float32, int64 or boolean array as f64 numbers.
fn numbers(path: &str, array: &Array<Store>, subset: &ArraySubset) -> Result<Vec<f64>, StoreError> {
    let kind = array.data_type();
    let values = if *kind == data_type::bool() {
        array
            .retrieve_array_subset::<Vec<bool>>(subset)
            .map(|cells| {
                cells
                    .into_iter()
                    .map(|cell| f64::from(u8::from(cell)))
                    .collect()
            })
    } else if *kind == data_type::float32() {
        array
            .retrieve_array_subset::<Vec<f32>>(subset)
            .map(|cells| cells.into_iter().map(f64::from).collect())
    } else if *kind == data_type::int64() {
        array
            .retrieve_array_subset::<Vec<i64>>(subset)
            .map(|cells| cells.into_iter().map(|cell| cell as f64).collect())
    } else {
        array.retrieve_array_subset::<Vec<f64>>(subset)
    };
    values.map_err(|error| StoreError::Damaged {
        path: path.into(),
        detail: error.to_string(),
    })
}

fn text(value: &serde_json::Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
