//! What naga reports about a linked module: errors, bindings, workgroup sizes, struct layouts.

use crate::limits::with_a_deep_stack;
use crate::{CONTRACT, LinkError, Linked};
use naga::front::wgsl;
use naga::proc::{GlobalCtx, Layouter};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, EntryPoint, Expression, Literal, Module, StorageAccess, TypeInner};
use std::error::Error;

/// A module that naga accepts. Capabilities are not restricted here: the device checks them.
#[derive(Debug, Clone)]
pub struct Checked {
    /// Module as parsed by naga.
    pub module: Module,
    /// Results of naga's validation.
    pub info: ModuleInfo,
}

/// How a buffer is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindingKind {
    /// A storage buffer, `var<storage>`.
    Storage {
        /// Whether access is `read`, not `read_write`.
        read_only: bool,
    },
    /// A uniform buffer, `var<uniform>`.
    Uniform,
}

/// A buffer that an entry point uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Number of the bind group, `@group`.
    pub group: u32,
    /// Number within the group, `@binding`.
    pub binding: u32,
    /// Name of the variable.
    pub name: String,
    /// How it is bound.
    pub kind: BindingKind,
    /// Smallest size in bytes; a runtime-sized array counts one element.
    pub min_size: u32,
}

/// Memory layout of a struct in WGSL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StructLayout {
    /// Size in bytes, with padding.
    pub size: u32,
    /// (Name, offset in bytes) of each field, in order.
    pub fields: Vec<(String, u32)>,
}

impl Linked {
    /// Parses and validates the module once. An error names the original file and the line in it.
    pub fn validate(&self) -> Result<&Checked, LinkError> {
        self.checked
            .get_or_init(|| self.check())
            .as_ref()
            .map_err(Clone::clone)
    }

    /// Parses the module and checks a user's text against its limits.
    pub(crate) fn parse(&self) -> Result<Module, LinkError> {
        let parsed = if self.has_users_text() {
            with_a_deep_stack(|| wgsl::parse_str(&self.wgsl)).ok_or_else(|| {
                self.error(None, vec!["the memory for parsing it is not there".into()])
            })?
        } else {
            wgsl::parse_str(&self.wgsl)
        };
        let module = parsed.map_err(|e| {
            let line = e.location(&self.wgsl).map(|l| l.line_number);
            let mut parts = vec![e.message().to_string()];
            parts.extend(
                e.labels()
                    .map(|(_, text)| text.to_string())
                    .filter(|text| !text.is_empty()),
            );
            parts.extend(e.notes().map(str::to_string));
            self.error(line, parts)
        })?;
        if self.has_users_text() {
            self.check_limits(&module)?;
        }
        Ok(module)
    }

    fn check(&self) -> Result<Checked, LinkError> {
        let module = self.parse()?;
        let info = Validator::new(ValidationFlags::all(), Capabilities::all())
            .validate(&module)
            .map_err(|e| {
                // The span of the last label is the narrowest: the statement, not the function.
                let line = e
                    .spans()
                    .last()
                    .map(|(span, _)| span.location(&self.wgsl).line_number);
                let mut parts = vec![e.as_inner().to_string()];
                let mut source = e.as_inner().source();
                while let Some(cause) = source {
                    parts.push(cause.to_string());
                    source = cause.source();
                }
                self.error(line, parts)
            })?;
        Ok(Checked { module, info })
    }

    fn error(&self, line: Option<u32>, parts: Vec<String>) -> LinkError {
        let message = parts.join(": ").replace('\n', " ");
        if let Some(model) = &self.user_model {
            let unknown = |name: &str| message.contains(&format!("identifier: `{name}`"));
            if let Some((function, signature)) = CONTRACT.iter().find(|(name, _)| unknown(name)) {
                return LinkError::Contract {
                    model: model.clone(),
                    function: function.to_string(),
                    signature: signature.to_string(),
                };
            }
        }
        // The parser does not say where it met its own limits: a user's text is the only one that comes near them.
        let user = self.user_model.as_deref().filter(|_| line.is_none());
        let (file, line) = match user {
            Some(file) => (file, 1),
            None => self.locate(line.unwrap_or(1)),
        };
        LinkError::Wgsl {
            file: file.to_string(),
            line,
            message,
        }
    }

    /// The buffers that `entry` and the functions it calls use, sorted by group and binding.
    pub fn bindings(&self, entry: &str) -> Result<Vec<Binding>, LinkError> {
        let checked = self.validate()?;
        let (index, _) = self.entry(checked, entry)?;
        let uses = checked.info.get_entry_point(index);
        let layouts = self.layouts(&checked.module)?;
        let mut out = Vec::new();
        for (handle, variable) in checked.module.global_variables.iter() {
            let (Some(at), false) = (&variable.binding, uses[handle].is_empty()) else {
                continue;
            };
            let kind = match variable.space {
                AddressSpace::Storage { access } => BindingKind::Storage {
                    read_only: !access.contains(StorageAccess::STORE),
                },
                AddressSpace::Uniform => BindingKind::Uniform,
                _ => continue,
            };
            out.push(Binding {
                group: at.group,
                binding: at.binding,
                name: variable.name.clone().unwrap_or_default(),
                kind,
                min_size: layouts[variable.ty].size,
            });
        }
        out.sort_by_key(|b| (b.group, b.binding));
        Ok(out)
    }

    /// `@workgroup_size` of `entry`; an `override` counts by its default.
    pub fn workgroup_size(&self, entry: &str) -> Result<[u32; 3], LinkError> {
        let module = &self.validate()?.module;
        let (_, point) = self.entry(self.validate()?, entry)?;
        let mut size = point.workgroup_size;
        for (out, by) in size
            .iter_mut()
            .zip(point.workgroup_size_overrides.unwrap_or_default())
        {
            let value = by.map(|e| &module.global_expressions[e]);
            let value = match value {
                Some(Expression::Override(o)) => module.overrides[*o]
                    .init
                    .map(|e| &module.global_expressions[e]),
                other => other,
            };
            match value {
                Some(Expression::Literal(Literal::U32(v))) => *out = *v,
                Some(Expression::Literal(Literal::I32(v))) => *out = *v as u32,
                _ => {}
            }
        }
        Ok(size)
    }

    /// The entry points, in order.
    pub fn entry_points(&self) -> Result<Vec<String>, LinkError> {
        let points = &self.validate()?.module.entry_points;
        Ok(points.iter().map(|p| p.name.clone()).collect())
    }

    /// Size and field offsets of a struct. The matching `repr(C)` struct in Rust must have the same.
    pub fn struct_layout(&self, name: &str) -> Result<StructLayout, LinkError> {
        let module = &self.validate()?.module;
        for (_, ty) in module.types.iter() {
            if let (Some(own), TypeInner::Struct { members, span }) = (&ty.name, &ty.inner)
                && own == name
            {
                return Ok(StructLayout {
                    size: *span,
                    fields: members
                        .iter()
                        .map(|m| (m.name.clone().unwrap_or_default(), m.offset))
                        .collect(),
                });
            }
        }
        Err(self.no_such("struct", name))
    }

    fn entry<'a>(
        &self,
        checked: &'a Checked,
        name: &str,
    ) -> Result<(usize, &'a EntryPoint), LinkError> {
        let mut points = checked.module.entry_points.iter().enumerate();
        points
            .find(|(_, p)| p.name == name)
            .ok_or_else(|| self.no_such("entry point", name))
    }

    fn layouts(&self, module: &Module) -> Result<Layouter, LinkError> {
        let mut layouts = Layouter::default();
        let context: GlobalCtx<'_> = module.to_ctx();
        layouts
            .update(context)
            .map_err(|e| self.error(None, vec![e.to_string()]))?;
        Ok(layouts)
    }

    fn no_such(&self, what: &'static str, name: &str) -> LinkError {
        LinkError::NoSuch {
            root: self.root.clone(),
            what,
            name: name.to_string(),
        }
    }
}
