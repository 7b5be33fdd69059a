//! Makes the groups and arrays of a trace: shapes, names of dimensions, chunks, codecs, attributes.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;

use serde_json::{Map, Value};
use sngd_core::trace::NamedArray;
use zarrs::array::codec::ZstdCodec;
use zarrs::array::{
    Array, ArrayBuilder, ArrayMetadataOptions, CodecOptions, DataType, FillValue, data_type,
};
use zarrs::group::GroupBuilder;

use crate::store_error::StoreError;
use crate::trace_dir::{Staged, TraceDir};
use crate::trace_layout;

/// The type of an array's cells, with the value of a cell that was never written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cells {
    Float,
    Bool,
    Int,
    Text,
}

/// Makes arrays and groups in one directory.
#[derive(Debug, Clone)]
pub(crate) struct Maker {
    pub dir: Arc<TraceDir>,
    pub path: String,
}

impl Maker {
    pub fn group(&self, path: &str, attributes: &Map<String, Value>) -> Result<(), StoreError> {
        let group = GroupBuilder::new()
            .attributes(attributes.clone())
            .build(self.dir.clone(), path);
        group
            .map_err(|e| self.failed(path, &e))?
            .store_metadata()
            .map_err(|e| self.failed(path, &e))
    }

    /// Makes an array from `(dimension, length, chunk length)`, outermost first; its metadata is not written yet. Chunks carry zstd's checksum, so that
    /// a changed bit is an error and not another number.
    pub fn array(
        &self,
        path: &str,
        cells: Cells,
        dims: &[(&str, usize, usize)],
    ) -> Result<Array<TraceDir>, StoreError> {
        let (kind, fill): (DataType, FillValue) = match cells {
            Cells::Float => (data_type::float64(), f64::NAN.into()),
            Cells::Bool => (data_type::bool(), false.into()),
            Cells::Int => (data_type::int64(), 0_i64.into()),
            Cells::Text => (data_type::string(), "".into()),
        };
        let shape: Vec<u64> = dims.iter().map(|&(_, length, _)| length as u64).collect();
        let chunks: Vec<NonZeroU64> = dims
            .iter()
            .map(|&(_, _, chunk)| NonZeroU64::new(chunk as u64).unwrap_or(NonZeroU64::MIN))
            .collect();
        ArrayBuilder::new(shape, chunks, kind, fill)
            .dimension_names(Some(dims.iter().map(|&(name, _, _)| name)))
            .bytes_to_bytes_codecs(vec![Arc::new(ZstdCodec::new(3, true))])
            .build(self.dir.clone(), path)
            .map_err(|e| self.failed(path, &e))
    }

    /// Writes an int64 coordinate `0, 1, ...` in one chunk.
    pub fn count(&self, group: &str, name: &str, length: usize) -> Result<(), StoreError> {
        let path = format!("{group}/{name}");
        let array = self.array(&path, Cells::Int, &[(name, length, length)])?;
        self.chunk(&array, &[0], (0..length as i64).collect::<Vec<_>>())?;
        self.publish(vec![self.stage(&array)?])
    }

    /// Writes the string coordinates of a group.
    pub fn labels(
        &self,
        group: &str,
        coordinates: &BTreeMap<&str, &[String]>,
    ) -> Result<(), StoreError> {
        for (&name, &labels) in coordinates {
            if labels.is_empty() {
                continue;
            }
            let path = format!("{group}/{name}");
            let array = self.array(&path, Cells::Text, &[(name, labels.len(), labels.len())])?;
            self.chunk(&array, &[0], labels.to_vec())?;
            self.publish(vec![self.stage(&array)?])?;
        }
        Ok(())
    }

    /// Writes a group of complete arrays, `observed_data` or `constant_data`; no group if there are no arrays.
    pub fn fixed_group(
        &self,
        group: &str,
        arrays: &[NamedArray],
        attributes: &Map<String, Value>,
    ) -> Result<(), StoreError> {
        const CHUNK: usize = 1 << 20;
        if arrays.is_empty() {
            return Ok(());
        }
        self.group(group, attributes)?;
        self.labels(
            group,
            &trace_layout::coordinates(
                group,
                arrays.iter().map(|a| (a.name.as_str(), a.dims.as_slice())),
                &[],
            )?,
        )?;
        for named in arrays {
            let shape = trace_layout::shape_of(named)?;
            let row: usize = shape.iter().skip(1).product::<usize>().max(1);
            let chunk_rows = (CHUNK / row)
                .max(1)
                .min(shape.first().copied().unwrap_or(1))
                .max(1);
            let dims: Vec<(&str, usize, usize)> = named
                .dims
                .iter()
                .zip(&shape)
                .enumerate()
                .map(|(axis, (dim, &length))| {
                    (
                        dim.name.as_str(),
                        length,
                        if axis == 0 { chunk_rows } else { length },
                    )
                })
                .collect();
            let array = self.array(&format!("{group}/{}", named.name), Cells::Float, &dims)?;
            for (k, values) in named.values.chunks(chunk_rows * row).enumerate() {
                let mut at = vec![0; dims.len()];
                if let Some(first) = at.first_mut() {
                    *first = k as u64;
                }
                let mut values = values.to_vec();
                values.resize(chunk_rows * row, f64::NAN);
                self.chunk(&array, &at, values)?;
            }
            self.publish(vec![self.stage(&array)?])?;
        }
        Ok(())
    }

    pub fn chunk<T: zarrs::array::Element>(
        &self,
        array: &Array<TraceDir>,
        at: &[u64],
        values: Vec<T>,
    ) -> Result<(), StoreError> {
        // A chunk whose cells all have the fill value is written too: one that is missing is then damage.
        let options = CodecOptions::default().with_store_empty_chunks(true);
        array
            .store_chunk_opt(at, values, &options)
            .map_err(|e| self.failed(array.path().as_str(), &e))
    }

    /// Writes an array's metadata beside the old metadata, to be published together with others.
    pub fn stage(&self, array: &Array<TraceDir>) -> Result<Staged, StoreError> {
        let options = ArrayMetadataOptions::default().with_include_zarrs_metadata(false);
        let path = array.path().as_str();
        let metadata = serde_json::to_vec_pretty(&array.metadata_opt(&options))
            .map_err(|e| self.failed(path, &e))?;
        self.dir
            .stage(&format!("{path}/zarr.json"), &metadata)
            .map_err(|e| self.failed(path, &e))
    }

    pub fn publish(&self, staged: Vec<Staged>) -> Result<(), StoreError> {
        staged
            .into_iter()
            .try_for_each(Staged::publish)
            .map_err(|e| self.failed("", &e))
    }

    pub fn failed(&self, inner: &str, error: &dyn std::fmt::Display) -> StoreError {
        let path = match inner.trim_matches('/') {
            "" => self.path.clone(),
            inner => format!("{}/{inner}", self.path),
        };
        StoreError::Io {
            path,
            action: "written",
            detail: error.to_string(),
        }
    }
}
