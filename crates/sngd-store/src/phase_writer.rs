//! The growing arrays of a trace: draws wait in memory until a chunk is full, and become visible together.

use serde_json::{Map, Value};
use sngd_core::trace::{Dim, DrawBlock, TraceSchema};
use zarrs::array::Array;

use crate::store_error::StoreError;
use crate::trace_arrays::{Cells, Maker};
use crate::trace_dir::TraceDir;
use crate::trace_layout;
use crate::trace_reader::{Phase, TraceReader};

/// Chunk length of the `draw` coordinate. A chunk is always written in full, since draw numbers are known in advance.
const COORDINATE_CHUNK: usize = 10_000;

/// The arrays of `posterior` and `sample_stats` of one phase, and the draws that wait for their chunk.
#[derive(Debug)]
pub(crate) struct PhaseWriter {
    /// Group of the variables and, if there are any, group of the statistics: `/posterior` and `/sample_stats`.
    groups: Vec<String>,
    /// One array for each variable.
    variables: Vec<Array<TraceDir>>,
    /// One array for each statistic.
    stats: Vec<Array<TraceDir>>,
    /// The `draw` coordinate of each group.
    coordinates: Vec<Array<TraceDir>>,
    /// Number of chunks of the coordinate that are written.
    coordinate_chunks: usize,
    /// Number of draws in a chunk.
    chunk: usize,
    /// Number of draws in full chunks, all written.
    stored: usize,
    /// Number of draws in memory, less than a chunk.
    waiting: usize,
    /// Number of draws that the metadata show.
    visible: usize,
    /// Parameters of the waiting draws, `[waiting, C, P]`.
    values: Vec<f64>,
    /// Statistics of the waiting draws, `[waiting, C, S]`.
    stat_values: Vec<f64>,
}

impl PhaseWriter {
    pub fn create(
        maker: &Maker,
        schema: &TraceSchema,
        groups: &[&str],
        attributes: &Map<String, Value>,
    ) -> Result<Self, StoreError> {
        let mut phase = Self::empty(maker, schema, groups)?;
        phase.store_groups(maker, schema, attributes)?;
        for group in &phase.groups {
            maker.count(group, "chain", schema.chains)?;
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

    /// Goes on with arrays that exist, after their first `draws` draws; what a killed run wrote beyond them is hidden, and written again.
    pub fn reopen(
        maker: &Maker,
        schema: &TraceSchema,
        groups: &[&str],
        old: &TraceReader,
        draws: usize,
    ) -> Result<Self, StoreError> {
        let mut phase = Self::empty(maker, schema, groups)?;
        phase.coordinate_chunks = draws.div_ceil(COORDINATE_CHUNK);
        phase.stored = draws / phase.chunk * phase.chunk;
        phase.waiting = draws - phase.stored;
        let kind = match groups[0] {
            "/warmup_posterior" => Phase::Warmup,
            _ => Phase::Draws,
        };
        if old.draws(kind) < draws {
            return Err(StoreError::Damaged {
                path: format!("{}{}", maker.path, groups[0]),
                detail: format!(
                    "it has {} draws where its checkpoint counts {draws}",
                    old.draws(kind)
                ),
            });
        }
        let (c, p, s) = (schema.chains, schema.parameters, schema.stats.len());
        phase.values = vec![0.0; phase.waiting * c * p];
        phase.stat_values = vec![0.0; phase.waiting * c * s];
        if phase.waiting > 0 {
            for variable in &schema.variables {
                let read = old.samples_of(kind, &variable.name, phase.stored..draws)?;
                let rows = read.values.chunks_exact(variable.index.len().max(1));
                for (row, cells) in rows.enumerate() {
                    for (&at, cell) in variable.index.iter().zip(cells) {
                        phase.values[row * p + at] = *cell;
                    }
                }
            }
            for (i, stat) in schema.stats.iter().enumerate() {
                let read = old.stat_of(kind, &stat.name, phase.stored..draws)?;
                for (row, cell) in read.values.iter().enumerate() {
                    phase.stat_values[row * s + i] = *cell;
                }
            }
        }
        phase.publish(maker, draws)?;
        Ok(phase)
    }

    /// The arrays of a phase, none of which is written.
    fn empty(maker: &Maker, schema: &TraceSchema, groups: &[&str]) -> Result<Self, StoreError> {
        let groups: Vec<String> = groups.iter().map(|g| g.to_string()).collect();
        let chunk = trace_layout::chunk_draws(schema);
        let chains = schema.chains;
        let array = |path: String, cells, dims: &[Dim]| {
            let elements = dims.iter().map(|dim| dim.labels.len()).product();
            let together = trace_layout::chunk_chains(chains, chunk, elements);
            let mut shape = vec![("chain", chains, together), ("draw", 0, chunk)];
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

        Ok(Self {
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
        })
    }

    /// Writes the metadata of the groups; `variable_order` keeps the schema's order, which a directory listing loses.
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

    /// Number of draws that a reader sees.
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

    /// Writes the chunk that begins with the waiting draws; cells after them get the fill value.
    fn store_waiting(&self, maker: &Maker, schema: &TraceSchema) -> Result<(), StoreError> {
        let k = (self.stored / self.chunk) as u64;
        for (variable, array) in schema.variables.iter().zip(&self.variables) {
            let index = &variable.index;
            let value = |draw: usize, chain: usize, e: usize| {
                self.values[(draw * schema.chains + chain) * schema.parameters + index[e]]
            };
            let rest = vec![0; variable.dims.len()];
            self.store(
                maker,
                array,
                (k, schema.chains, index.len()),
                &rest,
                f64::NAN,
                value,
            )?;
        }
        let width = schema.stats.len();
        for (s, (info, array)) in schema.stats.iter().zip(&self.stats).enumerate() {
            let value = |draw: usize, chain: usize, _: usize| {
                self.stat_values[(draw * schema.chains + chain) * width + s]
            };
            let shape = (k, schema.chains, 1);
            if info.boolean {
                let flag = |draw, chain, e| value(draw, chain, e) != 0.0;
                self.store(maker, array, shape, &[], false, flag)?;
            } else {
                self.store(maker, array, shape, &[], f64::NAN, value)?;
            }
        }
        Ok(())
    }

    /// Writes chunk k of an array for every group of chains; each draw has `elements` elements. Cells without a draw or chain get `fill`.
    fn store<T: zarrs::array::Element + Copy>(
        &self,
        maker: &Maker,
        array: &Array<TraceDir>,
        (k, chains, elements): (u64, usize, usize),
        rest: &[u64],
        fill: T,
        value: impl Fn(usize, usize, usize) -> T,
    ) -> Result<(), StoreError> {
        let together = trace_layout::chunk_chains(chains, self.chunk, elements);
        for (group, first) in (0..chains).step_by(together).enumerate() {
            let mut cells = vec![fill; together * self.chunk * elements];
            for chain in first..(first + together).min(chains) {
                for draw in 0..self.waiting {
                    let at = ((chain - first) * self.chunk + draw) * elements;
                    for e in 0..elements {
                        cells[at + e] = value(draw, chain, e);
                    }
                }
            }
            let mut at = vec![group as u64, k];
            at.extend_from_slice(rest);
            maker.chunk(array, &at, cells)?;
        }
        Ok(())
    }

    /// Makes the first `draws` draws visible: writes the coordinate's chunks, then all new metadata beside the old, then swaps both.
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
