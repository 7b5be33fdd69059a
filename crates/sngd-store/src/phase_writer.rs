//! The growing arrays of a trace: draws wait until a chunk is full, and become visible together.

use serde_json::{Map, Value};
use sngd_core::trace::{Dim, DrawBlock, TraceSchema};
use zarrs::array::Array;

use crate::store_error::StoreError;
use crate::trace_arrays::{Cells, Maker};
use crate::trace_dir::TraceDir;
use crate::trace_layout;

/// Chunk length of the `draw` coordinate; a chunk's content does not depend on how many of its draws there are.
const COORDINATE_CHUNK: usize = 10_000;

/// The arrays of `posterior` and `sample_stats` of one phase, and the draws that wait for their chunk.
#[derive(Debug)]
pub(crate) struct PhaseWriter {
    /// Of the variables, and where there are any of the statistics: `/posterior` and `/sample_stats`.
    groups: Vec<String>,
    /// One for each variable.
    variables: Vec<Array<TraceDir>>,
    /// One for each statistic.
    stats: Vec<Array<TraceDir>>,
    /// The `draw` coordinate of each group.
    coordinates: Vec<Array<TraceDir>>,
    /// Chunks of the coordinate that are written.
    coordinate_chunks: usize,
    /// Draws in a chunk.
    chunk: usize,
    /// Draws in full chunks, all written.
    stored: usize,
    /// Draws in memory, fewer than a chunk.
    waiting: usize,
    /// Draws that the metadata show.
    visible: usize,
    /// `[waiting, C, P]`.
    values: Vec<f64>,
    /// `[waiting, C, S]`.
    stat_values: Vec<f64>,
}

impl PhaseWriter {
    pub fn create(
        maker: &Maker,
        schema: &TraceSchema,
        groups: &[&str],
        attributes: &Map<String, Value>,
    ) -> Result<Self, StoreError> {
        let groups: Vec<String> = groups.iter().map(|g| g.to_string()).collect();
        let chunk = trace_layout::chunk_draws(schema);
        let chains = schema.chains;
        let array = |path: String, cells, dims: &[Dim]| {
            let mut shape = vec![("chain", chains, 1), ("draw", 0, chunk)];
            shape.extend(
                dims.iter()
                    .map(|dim| (dim.name.as_str(), dim.labels.len(), dim.labels.len())),
            );
            maker.array(&path, cells, &shape)
        };
        let variables = schema
            .variables
            .iter()
            .map(|v| array(format!("{}/{}", groups[0], v.name), Cells::Float, &v.dims));
        let variables = variables.collect::<Result<Vec<_>, _>>()?;
        let stats = schema.stats.iter().map(|s| {
            array(
                format!("{}/{}", groups[1], s.name),
                if s.boolean { Cells::Bool } else { Cells::Float },
                &[],
            )
        });
        let stats = stats.collect::<Result<Vec<_>, _>>()?;
        let coordinates = groups.iter().map(|group| {
            maker.array(
                &format!("{group}/draw"),
                Cells::Int,
                &[("draw", 0, COORDINATE_CHUNK)],
            )
        });
        let coordinates = coordinates.collect::<Result<Vec<_>, _>>()?;

        let mut phase = Self {
            groups,
            variables,
            stats,
            coordinates,
            coordinate_chunks: 0,
            chunk,
            stored: 0,
            waiting: 0,
            visible: 0,
            values: Vec::new(),
            stat_values: Vec::new(),
        };
        phase.store_groups(maker, schema, attributes)?;
        for group in &phase.groups {
            maker.count(group, "chain", chains)?;
        }
        let named = schema
            .variables
            .iter()
            .map(|v| (v.name.as_str(), v.dims.as_slice()));
        maker.labels(
            &phase.groups[0],
            &trace_layout::coordinates("posterior", named, &["chain", "draw"])?,
        )?;
        phase.publish(maker, 0)?;
        Ok(phase)
    }

    /// Group metadata; `variable_order` keeps the schema's order, which a directory listing forgets.
    pub fn store_groups(
        &self,
        maker: &Maker,
        schema: &TraceSchema,
        attributes: &Map<String, Value>,
    ) -> Result<(), StoreError> {
        let variables: Vec<&str> = schema.variables.iter().map(|v| v.name.as_str()).collect();
        let stats: Vec<&str> = schema.stats.iter().map(|s| s.name.as_str()).collect();
        for (group, order) in self.groups.iter().zip([variables, stats]) {
            let mut attributes = attributes.clone();
            attributes.insert(
                "variable_order".into(),
                Value::from(order).to_string().into(),
            );
            maker.group(group, &attributes)?;
        }
        Ok(())
    }

    pub fn received(&self) -> usize {
        self.stored + self.waiting
    }

    /// Draws that a reader sees.
    pub fn visible(&self) -> usize {
        self.visible
    }

    pub fn take(
        &mut self,
        maker: &Maker,
        schema: &TraceSchema,
        block: &DrawBlock,
    ) -> Result<(), StoreError> {
        let (row, stat_row) = (
            schema.chains * schema.parameters,
            schema.chains * schema.stats.len(),
        );
        let mut taken = 0;
        while taken < block.len {
            let n = (self.chunk - self.waiting).min(block.len - taken);
            self.values
                .extend_from_slice(&block.values[taken * row..(taken + n) * row]);
            self.stat_values
                .extend_from_slice(&block.stats[taken * stat_row..(taken + n) * stat_row]);
            self.waiting += n;
            taken += n;
            if self.waiting == self.chunk {
                self.store_waiting(maker, schema)?;
                self.stored += self.chunk;
                self.waiting = 0;
                self.values.clear();
                self.stat_values.clear();
            }
        }
        if self.stored > self.visible {
            self.publish(maker, self.stored)
        } else {
            Ok(())
        }
    }

    pub fn flush(&mut self, maker: &Maker, schema: &TraceSchema) -> Result<(), StoreError> {
        if self.received() == self.visible {
            return Ok(());
        }
        if self.waiting > 0 {
            self.store_waiting(maker, schema)?;
        }
        self.publish(maker, self.received())
    }

    /// Writes the chunk that the waiting draws begin; cells after them hold the fill value.
    fn store_waiting(&self, maker: &Maker, schema: &TraceSchema) -> Result<(), StoreError> {
        let k = (self.stored / self.chunk) as u64;
        for (variable, array) in schema.variables.iter().zip(&self.variables) {
            for chain in 0..schema.chains {
                let mut cells = vec![f64::NAN; self.chunk * variable.index.len()];
                for (draw, into) in cells
                    .chunks_exact_mut(variable.index.len().max(1))
                    .take(self.waiting)
                    .enumerate()
                {
                    let from = &self.values[(draw * schema.chains + chain) * schema.parameters..]
                        [..schema.parameters];
                    for (cell, &p) in into.iter_mut().zip(&variable.index) {
                        *cell = from[p];
                    }
                }
                let mut at = vec![0; 2 + variable.dims.len()];
                (at[0], at[1]) = (chain as u64, k);
                maker.chunk(array, &at, cells)?;
            }
        }
        let width = schema.stats.len();
        for (s, (info, array)) in schema.stats.iter().zip(&self.stats).enumerate() {
            for chain in 0..schema.chains {
                let of = |draw: usize| {
                    self.stat_values
                        .get((draw * schema.chains + chain) * width + s)
                        .copied()
                };
                let at = [chain as u64, k];
                if info.boolean {
                    maker.chunk(
                        array,
                        &at,
                        (0..self.chunk)
                            .map(|draw| of(draw).is_some_and(|v| v != 0.0))
                            .collect(),
                    )?;
                } else {
                    maker.chunk(
                        array,
                        &at,
                        (0..self.chunk)
                            .map(|draw| of(draw).unwrap_or(f64::NAN))
                            .collect(),
                    )?;
                }
            }
        }
        Ok(())
    }

    /// Makes `draws` draws visible: the coordinate's chunks, then all metadata beside the old, then one quick exchange.
    fn publish(&mut self, maker: &Maker, draws: usize) -> Result<(), StoreError> {
        while self.coordinate_chunks * COORDINATE_CHUNK < draws {
            let first = (self.coordinate_chunks * COORDINATE_CHUNK) as i64;
            for array in &self.coordinates {
                let cells: Vec<i64> = (first..first + COORDINATE_CHUNK as i64).collect();
                maker.chunk(array, &[self.coordinate_chunks as u64], cells)?;
            }
            self.coordinate_chunks += 1;
        }
        let mut staged = Vec::new();
        for array in self
            .variables
            .iter_mut()
            .chain(&mut self.stats)
            .chain(&mut self.coordinates)
        {
            let mut shape = array.shape().to_vec();
            let draw = if shape.len() == 1 { 0 } else { 1 };
            shape[draw] = draws as u64;
            array.set_shape(shape).map_err(|e| maker.failed("", &e))?;
            staged.push(maker.stage(array)?);
        }
        maker.publish(staged)?;
        self.visible = draws;
        Ok(())
    }
}
