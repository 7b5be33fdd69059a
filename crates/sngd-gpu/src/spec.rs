//! A dispatch as plain data: its kernel, constants, buffers, grid, and the steps at which it runs.

use crate::buffer::Buffer;
use sngd_shaders::Code;

/// Value of a kernel's constant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A `u32` in WGSL.
    U(u32),
    /// An `f32` in WGSL.
    F(f32),
}

/// Steps at which a dispatch runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Every step.
    Always,
    /// Steps that compute the metric anew.
    Fresh,
    /// Steps that compute the residual covariance anew: those with a new metric or another step size.
    NewNoise,
    /// Once, before the engine's first step.
    Once,
    /// Steps whose state is a kept draw, after warm-up.
    Kept,
}

/// One dispatch of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Path of the kernel's root file, for example `state/kernel/rows.wgsl`.
    pub root: &'static str,
    /// Name of the entry point.
    pub entry: &'static str,
    /// Constants of this kernel, beyond those that all kernels share.
    pub consts: Vec<(&'static str, Value)>,
    /// (Variable of the kernel, buffer bound to it), where the two names differ.
    pub bind: Vec<(&'static str, Buffer)>,
    /// Number of workgroups along x, y and z.
    pub grid: [u32; 3],
    /// Steps at which it runs.
    pub when: When,
    /// Number that the kernel reads as `panel.index`: a panel of a factorisation, a tile or a chunk of rows.
    pub panel: u32,
}

/// A dispatch of `entry` in `root` over `grid`, at every step.
pub fn spec(root: &'static str, entry: &'static str, grid: [usize; 3]) -> Spec {
    Spec {
        root,
        entry,
        consts: Vec::new(),
        bind: Vec::new(),
        grid: grid.map(|g| g as u32),
        when: When::Always,
        panel: 0,
    }
}

impl Spec {
    /// The stage it belongs to: the file name of the kernel without folder and extension.
    pub fn stage(&self) -> &'static str {
        let name = self.root.rsplit('/').next().unwrap_or(self.root);
        name.strip_suffix(".wgsl").unwrap_or(name)
    }

    /// Adds an integer constant.
    pub fn u(mut self, name: &'static str, v: usize) -> Spec {
        self.consts.push((name, Value::U(v as u32)));
        self
    }

    /// Adds an integer constant: the number of a variant.
    pub fn code(mut self, name: &'static str, v: &impl Code) -> Spec {
        self.consts.push((name, Value::U(v.code())));
        self
    }

    /// Adds a floating-point constant.
    pub fn f(mut self, name: &'static str, v: f64) -> Spec {
        self.consts.push((name, Value::F(v as f32)));
        self
    }

    /// Binds a buffer to a variable of another name.
    pub fn b(mut self, variable: &'static str, buffer: Buffer) -> Spec {
        self.bind.push((variable, buffer));
        self
    }

    /// Sets the steps at which it runs.
    pub fn at(mut self, when: When) -> Spec {
        self.when = when;
        self
    }

    /// Sets the number of the panel, tile or chunk.
    pub fn panel(mut self, index: usize) -> Spec {
        self.panel = index as u32;
        self
    }

    /// The buffer of a variable: the one bound to it, or the one of the same name. `None` where there is neither.
    pub fn buffer(&self, variable: &str) -> Option<Buffer> {
        let bound = self.bind.iter().find(|(v, _)| *v == variable);
        bound.map_or_else(|| Buffer::named(variable), |(_, b)| Some(*b))
    }
}
