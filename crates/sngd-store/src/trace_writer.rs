//! The sink that grows a Zarr v3 trace while a run goes on.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};
use sngd_core::trace::{Dim, DrawBlock, Sink, TraceSchema, Variable};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use zarrs::array::Array;

use crate::store_error::StoreError;
use crate::trace_arrays::{Cells, Maker};
use crate::trace_dir::{LIBRARY, TraceDir, make_room};
use crate::trace_layout;

/// Chunk length of the `draw` coordinate; a chunk's content does not depend on how many of its draws there are.
const COORDINATE_CHUNK: usize = 10_000;

/// Writes blocks of draws to a directory that can be read meanwhile.
///
/// Draws wait in memory until a chunk of at most 100 is full; then its data are written, and only then the arrays and
/// their `draw` coordinate are made longer, so that a reader meets whole draws only. [`TraceWriter::flush`] does the
/// same at once for a chunk that is not full yet, and [`Sink::finish`] is a flush. A writer that is dropped without
/// them leaves a trace that ends at its last full chunk.
#[derive(Debug)]
pub struct TraceWriter {
    maker: Maker,
    schema: TraceSchema,
    attributes: Map<String, Value>,
    draws: PhaseWriter,
    warmup: Option<PhaseWriter>,
    /// The group `log_likelihood`, whose "parameters" are rows.
    row_terms: Option<(TraceSchema, PhaseWriter)>,
}

impl TraceWriter {
    /// Creates the directory with all its groups, its coordinates and no draws.
    ///
    /// With `force`, a trace of sngd at `path` is removed first; anything else there is left alone.
    ///
    /// # Errors
    /// [`StoreError::Exists`] or [`StoreError::NotOurs`] if the path is taken, [`StoreError::Schema`] if the schema
    /// contradicts itself, [`StoreError::Io`] if the file system refuses.
    pub fn create(path: &Path, schema: TraceSchema, force: bool) -> Result<Self, StoreError> {
        trace_layout::check(&schema)?;
        make_room(path, force)?;
        let maker = Maker {
            dir: Arc::new(TraceDir::new(path)),
            path: path.display().to_string(),
        };
        let mut attributes = Map::new();
        let now = OffsetDateTime::now_utc();
        let now = now.replace_microsecond(now.microsecond()).unwrap_or(now);
        attributes.insert(
            "created_at".into(),
            now.format(&Rfc3339).unwrap_or_default().into(),
        );
        attributes.insert("inference_library".into(), LIBRARY.into());
        attributes.insert(
            "inference_library_version".into(),
            env!("CARGO_PKG_VERSION").into(),
        );
        for (name, value) in &schema.attributes {
            attributes.insert(name.clone(), value.clone().into());
        }

        maker.group("/", &attributes)?;
        let groups = ["/posterior", "/sample_stats"];
        let draws = PhaseWriter::create(&maker, &schema, &groups, &attributes)?;
        let groups = ["/warmup_posterior", "/warmup_sample_stats"];
        let warmup = schema
            .save_warmup
            .then(|| PhaseWriter::create(&maker, &schema, &groups, &attributes))
            .transpose()?;
        maker.fixed_group("/observed_data", &schema.observed, &attributes)?;
        maker.fixed_group("/constant_data", &schema.constant, &attributes)?;
        Ok(Self {
            maker,
            schema,
            attributes,
            draws,
            warmup,
            row_terms: None,
        })
    }

    /// Adds the group `log_likelihood` with one variable `y[row]` of `rows` rows, which [`TraceWriter::row_terms`] then feeds.
    ///
    /// # Errors
    /// As [`TraceWriter::create`].
    pub fn with_row_terms(mut self, rows: usize) -> Result<Self, StoreError> {
        let schema = TraceSchema {
            chains: self.schema.chains,
            parameters: rows,
            variables: vec![Variable {
                name: "y".into(),
                dims: vec![Dim {
                    name: "row".into(),
                    labels: (0..rows).map(|i| i.to_string()).collect(),
                }],
                index: (0..rows).collect(),
            }],
            stats: vec![],
            save_warmup: false,
            observed: vec![],
            constant: vec![],
            attributes: vec![],
        };
        let writer =
            PhaseWriter::create(&self.maker, &schema, &["/log_likelihood"], &self.attributes)?;
        self.row_terms = Some((schema, writer));
        Ok(self)
    }

    /// Takes ln p(y|θ) of each row, `values` `[n, C, N]` of the kept draws of a block, `stats` empty.
    ///
    /// # Errors
    /// As [`Sink::block`]; nothing is done without [`TraceWriter::with_row_terms`].
    pub fn row_terms(&mut self, block: &DrawBlock) -> Result<(), StoreError> {
        let Some((schema, writer)) = &mut self.row_terms else {
            return Ok(());
        };
        check_block(schema, writer.received(), block)?;
        writer.take(&self.maker, schema, block)
    }

    /// Makes every draw received so far visible to readers.
    ///
    /// # Errors
    /// [`StoreError::Io`] if the file system refuses.
    pub fn flush(&mut self) -> Result<(), StoreError> {
        for phase in self.warmup.iter_mut().chain([&mut self.draws]) {
            phase.flush(&self.maker, &self.schema)?;
        }
        if let Some((schema, writer)) = &mut self.row_terms {
            writer.flush(&self.maker, schema)?;
        }
        Ok(())
    }

    /// Sets string attributes of the root and of every group, e.g. what is known only at the end of a run.
    ///
    /// # Errors
    /// [`StoreError::Io`] if the file system refuses.
    pub fn set_attributes(&mut self, attributes: &[(String, String)]) -> Result<(), StoreError> {
        for (name, value) in attributes {
            self.attributes.insert(name.clone(), value.clone().into());
        }
        self.maker.group("/", &self.attributes)?;
        for phase in self.warmup.iter().chain([&self.draws]) {
            phase.store_groups(&self.maker, &self.schema, &self.attributes)?;
        }
        if let Some((schema, writer)) = &self.row_terms {
            writer.store_groups(&self.maker, schema, &self.attributes)?;
        }
        for (group, arrays) in [
            ("/observed_data", &self.schema.observed),
            ("/constant_data", &self.schema.constant),
        ] {
            if !arrays.is_empty() {
                self.maker.group(group, &self.attributes)?;
            }
        }
        Ok(())
    }

    /// Draws a chain received so far: `(warm-up, kept)`.
    pub fn received(&self) -> (usize, usize) {
        (
            self.warmup.as_ref().map_or(0, PhaseWriter::received),
            self.draws.received(),
        )
    }
}

impl Sink for TraceWriter {
    type Error = StoreError;

    fn block(&mut self, block: &DrawBlock) -> Result<(), StoreError> {
        let phase = match (block.warmup, &mut self.warmup) {
            (false, _) => &mut self.draws,
            (true, Some(warmup)) => warmup,
            (true, None) => return Ok(()),
        };
        check_block(&self.schema, phase.received(), block)?;
        phase.take(&self.maker, &self.schema, block)
    }

    fn finish(&mut self) -> Result<(), StoreError> {
        self.flush()
    }
}

/// The arrays of `posterior` and `sample_stats` of one phase, and the draws that wait for their chunk.
#[derive(Debug)]
struct PhaseWriter {
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
    fn create(
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
    fn store_groups(
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

    fn received(&self) -> usize {
        self.stored + self.waiting
    }

    fn take(
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

    fn flush(&mut self, maker: &Maker, schema: &TraceSchema) -> Result<(), StoreError> {
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

/// A block must follow the draws received, have the schema's sizes, and hold finite parameters.
fn check_block(schema: &TraceSchema, received: usize, block: &DrawBlock) -> Result<(), StoreError> {
    let refuse = |found, expected| {
        Err(StoreError::Block {
            first_draw: block.first_draw,
            found,
            expected,
        })
    };
    if block.first_draw != received {
        return refuse(
            format!("first draw {}", block.first_draw),
            format!("first draw {received}"),
        );
    }
    for (what, found, width) in [
        ("values", block.values.len(), schema.parameters),
        ("statistics", block.stats.len(), schema.stats.len()),
    ] {
        let expected = block.len * schema.chains * width;
        if found != expected {
            return refuse(format!("{found} {what}"), format!("{expected}"));
        }
    }
    let Some(at) = block.values.iter().position(|value| !value.is_finite()) else {
        return Ok(());
    };
    let (row, p) = (at / schema.parameters, at % schema.parameters);
    let element = schema.variables.iter().find_map(|variable| {
        let element = variable.index.iter().position(|&position| position == p)?;
        Some(trace_layout::element_name(variable, element))
    });
    Err(StoreError::NonFinite {
        variable: element.unwrap_or_else(|| format!("parameter {p}")),
        chain: row % schema.chains,
        phase: if block.warmup { "warm-up draw" } else { "draw" },
        draw: block.first_draw + row / schema.chains,
        value: block.values[at],
    })
}
