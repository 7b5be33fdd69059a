//! The sink that extends a Zarr v3 trace while a run goes on.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};
use sngd_core::trace::{Dim, DrawBlock, Sink, TraceSchema, Variable};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::consolidate;
use crate::old_trace::{OldTrace, Taken};
use crate::phase_writer::PhaseWriter;
use crate::store_error::StoreError;
use crate::trace_arrays::Maker;
use crate::trace_dir::{Staged, TraceDir};
use crate::trace_layout;
use crate::trace_mark::{ATTRIBUTE, Groups, LIBRARY, Mark};
use crate::trace_reader::TraceReader;

/// Writes blocks of draws to a directory that can be read at the same time.
///
/// Draws wait in memory until a chunk of at most 100 is full; then its data are written, and only then the arrays and
/// their `draw` coordinate are made longer, so that a reader sees only complete draws. [`TraceWriter::flush`] does the
/// same at once for a chunk that is not full yet, and so does [`Sink::finish`]. Dropped without
/// them, a writer leaves a trace that ends at its last full chunk.
#[derive(Debug)]
pub struct TraceWriter {
    taken: Taken,
    mark: Mark,
    maker: Maker,
    schema: TraceSchema,
    attributes: Map<String, Value>,
    draws: PhaseWriter,
    warmup: Option<PhaseWriter>,
    /// Writer of the group `log_likelihood`, whose "parameters" are rows.
    row_terms: Option<(TraceSchema, PhaseWriter)>,
}

impl TraceWriter {
    /// Creates the directory with all its groups, its coordinates and no draws.
    ///
    /// The path must be free or an empty folder, see [`crate::check_output`]. With `force` it may also be an old
    /// trace of sngd that contains nothing else. The old trace is set aside: `t.zarr` is renamed to `t.zarr.old`, or to
    /// `t.zarr.old-2` and so on if such names are taken by earlier runs, whose traces are not touched. Then:
    ///
    /// * [`TraceWriter::conclude`] with a complete trace removes the old one;
    /// * a writer that ends before readers can see a draw, dropped or concluded, puts it back in its place;
    /// * a writer that ends in between, and a program that is killed at any time, keep both.
    ///
    /// # Errors
    /// [`StoreError::NotAFolder`], [`StoreError::NotOurs`], [`StoreError::Exists`] or [`StoreError::Busy`] if the path
    /// cannot be taken, [`StoreError::Schema`] if the schema contradicts itself, [`StoreError::Io`] if the file system
    /// refuses. Everything is then as it was before, unless another program took the place of an old trace in the meantime:
    /// the error then says where the old trace is.
    pub fn create(path: &Path, schema: TraceSchema, force: bool) -> Result<Self, StoreError> {
        trace_layout::check(&schema)?;
        let mark = Mark::new(trace_layout::groups(&schema)?);
        let mut taken = Taken::new(path, force)?;
        let maker = Maker {
            dir: Arc::new(TraceDir::new(taken.path())),
            path: taken.path().display().to_string(),
        };
        let attributes = attributes(&schema);
        match Parts::create(&maker, &schema, &attributes, &mark) {
            Ok(Parts { draws, warmup }) => Ok(Self {
                taken,
                mark,
                maker,
                schema,
                attributes,
                draws,
                warmup,
                row_terms: None,
            }),
            Err(error) => {
                taken.undo(&mark);
                Err(error)
            }
        }
    }

    /// Goes on with a trace that an earlier program did not finish, after `draws` kept draws and `warmup` of the warm-up; the group of row terms, if the trace has one,
    /// goes on as well. Attributes are those of the trace, but for those in `schema`.
    ///
    /// # Errors
    /// [`StoreError::NotATrace`] or [`StoreError::Damaged`] if it cannot be read, [`StoreError::Busy`] if another program writes it,
    /// [`StoreError::Schema`] if its chains or variables are not those of `schema`, [`StoreError::Io`] if the file system refuses.
    pub fn reopen(
        path: &Path,
        schema: TraceSchema,
        (warmup_draws, draws): (usize, usize),
    ) -> Result<Self, StoreError> {
        trace_layout::check(&schema)?;
        let taken = Taken::again(path)?;
        let old = TraceReader::open(path)?;
        let names = |v: &mut dyn Iterator<Item = &str>| v.collect::<Vec<_>>().join(", ");
        let (found, expected) = (
            names(&mut old.variables().map(|v| v.name.as_str())),
            names(&mut schema.variables.iter().map(|v| v.name.as_str())),
        );
        if (old.chains(), &found) != (schema.chains, &expected) {
            return Err(StoreError::Schema(format!(
                "the trace has {} chains of {found}, the run {} chains of {expected}",
                old.chains(),
                schema.chains
            )));
        }
        let maker = Maker {
            dir: Arc::new(TraceDir::new(taken.path())),
            path: taken.path().display().to_string(),
        };
        let mut attributes = Map::new();
        for (name, value) in old
            .attributes()
            .iter()
            .filter(|(name, _)| name != ATTRIBUTE)
        {
            attributes.insert(name.clone(), value.clone().into());
        }
        for (name, value) in &schema.attributes {
            attributes.insert(name.clone(), value.clone().into());
        }
        let mark = Mark::read(path).ok_or_else(|| StoreError::NotATrace {
            path: path.display().to_string(),
            found: "a Zarr directory without the mark of sngd".into(),
        })?;
        let phase =
            |groups: &[&str], draws| PhaseWriter::reopen(&maker, &schema, groups, &old, draws);
        let draws_writer = phase(&["/posterior", "/sample_stats"], draws)?;
        let warmup = schema
            .save_warmup
            .then(|| phase(&["/warmup_posterior", "/warmup_sample_stats"], warmup_draws))
            .transpose()?;
        // Without the consolidated metadata of an end that is none any more.
        store_root(&maker, &attributes, &mark)?;
        let mut writer = Self {
            taken,
            mark,
            draws: draws_writer,
            warmup,
            maker,
            schema,
            attributes,
            row_terms: None,
        };
        writer.set_attributes(&[])?;
        Ok(writer)
    }

    /// Adds the group `log_likelihood` with one variable `y[row]` of `rows` rows; [`TraceWriter::row_terms`] then fills it.
    ///
    /// # Errors
    /// As [`TraceWriter::create`].
    pub fn with_row_terms(mut self, rows: usize) -> Result<Self, StoreError> {
        const GROUP: &str = "log_likelihood";
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
        let arrays: Vec<(&str, &[Dim])> = schema
            .variables
            .iter()
            .map(|v| (v.name.as_str(), v.dims.as_slice()))
            .collect();
        let names = trace_layout::names(GROUP, &arrays, &["chain", "draw"])?;
        self.mark.extend(Groups::from([(GROUP.into(), names)]));
        // The mark comes first: what it does not name does not belong to the trace.
        store_root(&self.maker, &self.attributes, &self.mark)?;
        let groups = [&*format!("/{GROUP}")];
        let writer = PhaseWriter::create(&self.maker, &schema, &groups, &self.attributes)?;
        self.row_terms = Some((schema, writer));
        Ok(self)
    }

    /// Writes the metadata of all groups and arrays into the root's as well, which readers then need alone. Only for a trace that does not
    /// grow any more: after the last flush and the last attributes.
    ///
    /// # Errors
    /// [`StoreError::Io`] if the file system refuses.
    pub fn consolidate(&self) -> Result<(), StoreError> {
        let all = consolidate::root_with_all(self.taken.path());
        let staged = all.and_then(|root| self.maker.dir.stage("zarr.json", &root));
        let published = staged.and_then(Staged::publish);
        published.map_err(|e| self.maker.failed("", &e))
    }

    /// Ends the trace; `whole` says whether it has all draws that were asked for. An old trace that was set aside is then
    /// removed, put back or kept, see [`TraceWriter::create`]; returns what happened to it. Flush and set the last attributes
    /// before this call.
    pub fn conclude(&mut self, whole: bool) -> &OldTrace {
        if whole {
            self.taken.remove_old();
        } else if !self.shows_draws() {
            self.taken.put_back_old(&self.mark);
        }
        self.taken.old()
    }

    /// What happened to the old trace that this one replaces.
    pub fn old_trace(&self) -> &OldTrace {
        self.taken.old()
    }

    /// Whether readers can see a draw, of the warm-up or a kept one.
    pub fn shows_draws(&self) -> bool {
        let mut phases = self.warmup.iter().chain([&self.draws]);
        phases.any(|phase| phase.visible() > 0)
    }

    /// Adds ln p(y|θ) of each row for a block of kept draws; its `values` are `[n, C, N]`, its `stats` empty.
    ///
    /// # Errors
    /// Those of [`Sink::block`]. Does nothing without [`TraceWriter::with_row_terms`].
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

    /// Sets string attributes of the root and of every group, for example results known only at the end of a run.
    ///
    /// # Errors
    /// [`StoreError::Io`] if the file system refuses.
    pub fn set_attributes(&mut self, attributes: &[(String, String)]) -> Result<(), StoreError> {
        for (name, value) in attributes {
            self.attributes.insert(name.clone(), value.clone().into());
        }
        store_root(&self.maker, &self.attributes, &self.mark)?;
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

    /// One attribute of the root, by name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name)?.as_str()
    }

    /// Number of draws per chain received so far: `(warm-up, kept)`.
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

impl Drop for TraceWriter {
    fn drop(&mut self) {
        if !self.shows_draws() {
            self.taken.put_back_old(&self.mark);
        }
    }
}

/// The writers of a trace's growing arrays.
struct Parts {
    draws: PhaseWriter,
    warmup: Option<PhaseWriter>,
}

impl Parts {
    fn create(
        maker: &Maker,
        schema: &TraceSchema,
        attributes: &Map<String, Value>,
        mark: &Mark,
    ) -> Result<Self, StoreError> {
        store_root(maker, attributes, mark)?;
        let groups = ["/posterior", "/sample_stats"];
        let draws = PhaseWriter::create(maker, schema, &groups, attributes)?;
        let groups = ["/warmup_posterior", "/warmup_sample_stats"];
        let warmup = schema
            .save_warmup
            .then(|| PhaseWriter::create(maker, schema, &groups, attributes))
            .transpose()?;
        maker.fixed_group("/observed_data", &schema.observed, attributes)?;
        maker.fixed_group("/constant_data", &schema.constant, attributes)?;
        Ok(Self { draws, warmup })
    }
}

/// Attributes of the root and of each group at the start.
fn attributes(schema: &TraceSchema) -> Map<String, Value> {
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
    attributes
}

/// Writes the metadata of the root: the attributes of every group, and the mark.
fn store_root(
    maker: &Maker,
    attributes: &Map<String, Value>,
    mark: &Mark,
) -> Result<(), StoreError> {
    let mut attributes = attributes.clone();
    attributes.insert(ATTRIBUTE.into(), mark.text().into());
    maker.group("/", &attributes)
}

/// Checks that a block follows the draws received, has the schema's sizes, and contains only finite parameters.
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
