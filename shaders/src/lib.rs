//! The WGSL kernels of sngd and the linker that composes them.
//!
//! Kernels are plain files under `wgsl/`. [`link()`] combines a root file, its imports, the model and the generated
//! constants. [`Linked::validate`] checks the result and reports errors by the user's file and line.
//! [`Linked::bindings`] lists the buffers that an entry point uses, so that layouts are written once, in WGSL.

mod codes;
mod consts;
mod custom;
mod error;
mod evaluate;
mod guard;
mod limits;
mod link;
mod loops;
mod model;
mod reflect;

pub use codes::{
    Code, DiagonalMetric, FaultCode, MODE_STATUS, ModeStatusWord, Remainder, Reports, STATUS,
    StatusWord, Weights,
};
pub use consts::{ConstValue, Consts};
pub use custom::Interpreted;
pub use error::LinkError;
pub use guard::Budget;
pub use limits::MOST_ITERATIONS;
pub use link::{Linked, files, link, link_text};
pub use model::{CONTRACT, ModelSource};
pub use reflect::{Binding, BindingKind, Checked, StructLayout};
