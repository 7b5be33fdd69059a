//! Reads tables of text (CSV and its relatives), Parquet and npy; writes and reads the Zarr trace.
//!
//! The first half turns a file into a [`sngd_core::table::Table`]: [`read_table`] and [`column_names`]. The second
//! half is [`TraceWriter`], a [`sngd_core::trace::Sink`] that extends a Zarr v3 directory while a run goes on, and
//! [`TraceReader`], which reads such a directory back, complete or not. [`check_output`] checks early whether a trace may
//! go to a path.

mod builder;
mod consolidate;
mod csv_table;
mod data_error;
mod label;
mod npy_table;
mod number_text;
mod old_trace;
mod open;
mod output_path;
mod parquet_table;
mod parquet_type;
mod phase_writer;
mod read;
mod select;
mod store_error;
mod text_file;
mod text_layout;
mod trace_arrays;
mod trace_dir;
mod trace_layout;
mod trace_mark;
mod trace_reader;
mod trace_writer;

pub use data_error::{At, DataError};
pub use old_trace::OldTrace;
pub use output_path::{check_output, set_aside_before, try_output};
pub use read::{column_names, read_table};
pub use store_error::StoreError;
pub use trace_reader::{Phase, Samples, StoredArray, TraceReader};
pub use trace_writer::TraceWriter;
