//! Bayesian posterior sampling on the GPU with stochastic natural gradients.
//!
//! A run goes one way: a [`RunFile`] or a [`Builder`] gives a `Config`; [`prepare`] reads the data and checks everything
//! into a [`Prepared`]; [`Sampler`] opens an engine and runs it in a separate thread; blocks of draws go to
//! [`RunSink`]s or come as a [`BlockStream`]; [`Report`] sums them up.
//!
//! ```no_run
//! use sngd::{RunFile, Sampler, TraceSink};
//! use std::path::Path;
//!
//! let file = RunFile::read(Path::new("pima.toml"), &["sampler.step_size=0.05".into()])?;
//! file.check_output(&file.output(), false)?;
//! let run = Sampler::from_config(file.config.clone(), &file.base)?.open()?;
//! let mut trace = TraceSink::create(&file.output(), run.prepared(), run.engine(), false)?;
//! let outcome = run.run(&mut [&mut trace], &Default::default(), &mut |_event| {})?;
//! # let _ = outcome;
//! # Ok::<(), sngd::Error>(())
//! ```

pub mod bench;
mod builder;
mod check;
pub mod checkpoint;
mod custom;
mod device;
mod error;
mod event;
mod facts;
mod fault;
mod gauges;
mod memory;
mod precision;
mod predict;
mod prepare;
mod priors;
mod run;
mod run_error;
mod run_file;
mod run_schema;
mod sampler;
mod samples;
mod schema;
mod self_test;
mod sink;
mod span;
mod start;
mod stray;
mod summary;
mod trace_sink;
mod vetted;

pub use builder::{Builder, Data, Mala, Model, Ngd, Psgld, Sgld, Sgrld, Sngd};
pub use check::{Cost, Fit, check};
pub use custom::{Finding, Piece, check_likelihood, from_wgsl};
pub use device::{AdapterInfo, Opened, adapters, open};
pub use error::Error;
pub use event::{Ending, Event, Outcome, Progress};
pub use facts::Facts;
pub use gauges::Gauges;
pub use predict::{Predictions, Scores};
pub use prepare::{Prepared, THERMOMETER_PARAMETERS, prepare, prepare_table};
pub use run_error::{MAX_FALLBACK_SHARE, RunError};
pub use run_file::{RunFile, parse};
pub use sampler::{BlockStream, Draws, OpenRun, Sampler, Warmup};
pub use samples::Samples;
pub use self_test::tested::TestResult;
pub use self_test::{SelfTest, self_test};
pub use sink::{Plain, RunSink};
pub use sngd_core as core;
pub use sngd_core::config::{
    self, Baseline, Blocks, Config, Correction, Device, DeviceSelector, Family, LinkName, Noise,
    Precision, SamplerConfig, Target,
};
pub use sngd_core::engine::{Engine, EngineError, EngineInfo};
pub use sngd_core::error::CheckError;
pub use sngd_core::generator::Generator;
pub use sngd_core::likelihood::{Custom, LikelihoodBody, Observed, WgslBody, packed};
pub use sngd_core::network::Activation;
pub use sngd_core::prior::{Prior, ScalePrior};
pub use sngd_core::problem::StatedPrior;
pub use sngd_core::trace::{DrawBlock, Sink};
pub use sngd_gpu::{self as gpu, wgpu};
pub use sngd_store::{self as store, DataError, StoreError};
pub use start::positions;
pub use summary::{
    Fault, FaultKind, Measured, Report, Row, Thermometers, Verdict, summarize, summarize_trace,
};
pub use trace_sink::TraceSink;
