//! Limits on a user's WGSL. Compilers put every called function in place of its call and walk expressions by recursion, so
//! that a short text can cost them any amount of time, memory or stack. Texts within these limits cost them seconds.

use crate::{LinkError, Linked};
use naga::{
    Block, Expression, Function, GlobalVariable, Handle, Module, Span, Statement, Type, TypeInner,
};
use sngd_core::likelihood::WgslBody;

/// Largest number of loop iterations in one call of a likelihood's function, on every engine: all loops together, with those
/// of the functions that it calls. Software drivers end longer loops themselves, and do not say so.
pub const MOST_ITERATIONS: u32 = 10_000;
/// Largest text, in bytes.
const TEXT_BYTES: usize = 64 << 10;
/// Stack of the thread that parses. The parser recurses once per operator of a chain, and a text has at most half as many of
/// them as bytes.
const PARSER_STACK: usize = 512 << 20;
/// Largest number of operations inside each other, or in a chain, in one expression.
const DEPTH: u32 = 500;
/// Largest number of blocks and calls inside each other.
const NESTING: u32 = 100;
/// Largest number of operations and statements of a function, with those of every function it calls.
const OPERATIONS: u64 = 20_000;
/// Largest type, in bytes.
const TYPE_BYTES: u64 = 16 << 10;
/// Most memory for variables of a function, with those of every function it calls, in bytes.
const VARIABLE_BYTES: u64 = 64 << 10;

/// Refuses a text that is too long to parse.
pub(crate) fn check_text(body: &WgslBody) -> Result<(), LinkError> {
    if body.text.len() <= TEXT_BYTES {
        return Ok(());
    }
    Err(LinkError::TooMuch {
        file: body.file.clone(),
        line: 1,
        found: format!("a text of {} bytes", body.text.len()),
        most: format!("{TEXT_BYTES} bytes"),
    })
}

/// Runs the parser where a long chain of operators cannot exhaust the stack.
pub(crate) fn with_a_deep_stack<T: Send>(parse: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("wgsl".into())
            .stack_size(PARSER_STACK)
            .spawn_scoped(scope, parse);
        thread.ok()?.join().ok()
    })
}

/// Size of a function as compilers see it: with every function that it calls in place of the call.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    operations: u64,
    variable_bytes: u64,
    nesting: u32,
}

impl Linked {
    /// Whether a part of the module at this span is the user's.
    pub(crate) fn is_users(&self, span: Span) -> bool {
        let Some(file) = &self.user_model else {
            return false;
        };
        self.locate(self.line(span)).0 == file
    }

    fn line(&self, span: Span) -> u32 {
        span.location(&self.wgsl).line_number
    }

    /// Refuses a user's text that compilers might not be done with in seconds, and variables outside functions.
    pub(crate) fn check_limits(&self, module: &Module) -> Result<(), LinkError> {
        self.check_globals(module)?;
        let mut sizes: Vec<Size> = Vec::with_capacity(module.functions.len());
        // Functions come after those that they call.
        for (handle, function) in module.functions.iter() {
            let size = size(module, function, &sizes);
            sizes.push(size);
            let span = module.functions.get_span(handle);
            if self.is_users(span) {
                self.check_function(module, function, (span, size))?;
            }
        }
        Ok(())
    }

    fn check_globals(&self, module: &Module) -> Result<(), LinkError> {
        let of_user = |(handle, _): &(Handle<GlobalVariable>, &GlobalVariable)| {
            self.is_users(module.global_variables.get_span(*handle))
        };
        if let Some((handle, variable)) = module.global_variables.iter().find(of_user) {
            let (file, line) = self.locate(self.line(module.global_variables.get_span(handle)));
            return Err(LinkError::Wgsl {
                file: file.into(),
                line,
                message: format!(
                    "found the variable {} outside functions, expected only functions, types and constants there; move it into a function",
                    variable.name.as_deref().unwrap_or_default()
                ),
            });
        }
        Ok(())
    }

    fn check_function(
        &self,
        module: &Module,
        function: &Function,
        (span, size): (Span, Size),
    ) -> Result<(), LinkError> {
        let name = function.name.as_deref().unwrap_or_default();
        let types = function.expressions.iter().filter_map(|(e, x)| match x {
            Expression::ZeroValue(ty) | Expression::Compose { ty, .. } => {
                Some((*ty, function.expressions.get_span(e)))
            }
            _ => None,
        });
        let variables = function.local_variables.iter();
        let variables = variables.map(|(v, x)| (x.ty, function.local_variables.get_span(v)));
        let passed = function.arguments.iter().map(|a| a.ty);
        let passed = passed.chain(function.result.iter().map(|r| r.ty));
        let all = variables.chain(types).chain(passed.map(|ty| (ty, span)));
        for (ty, at) in all {
            let bytes = bytes(module, ty);
            if bytes > TYPE_BYTES {
                return Err(self.too_much(
                    at,
                    format!("a value of {bytes} bytes in {name}"),
                    format!("{TYPE_BYTES} bytes"),
                ));
            }
        }
        if let Some(at) = too_deep(function) {
            return Err(self.too_much(
                at,
                format!("an expression of more than {DEPTH} operations in a chain in {name}"),
                format!("{DEPTH}; name parts of it with `let`"),
            ));
        }
        if size.operations > OPERATIONS {
            return Err(self.too_much(
                span,
                format!(
                    "{} operations in {name}, with those of the functions it calls",
                    size.operations
                ),
                format!("{OPERATIONS}; write a loop where operations repeat"),
            ));
        }
        if size.variable_bytes > VARIABLE_BYTES {
            return Err(self.too_much(
                span,
                format!(
                    "variables of {} bytes in {name}, with those of the functions it calls",
                    size.variable_bytes
                ),
                format!("{VARIABLE_BYTES} bytes"),
            ));
        }
        if size.nesting > NESTING {
            return Err(self.too_much(
                span,
                format!(
                    "{} blocks and calls inside each other in {name}",
                    size.nesting
                ),
                NESTING.to_string(),
            ));
        }
        Ok(())
    }

    fn too_much(&self, span: Span, found: String, most: String) -> LinkError {
        let (file, line) = self.locate(self.line(span));
        LinkError::TooMuch {
            file: file.into(),
            line,
            found,
            most,
        }
    }
}

/// Size of a type in bytes; 0 for buffers, whose size is not known.
fn bytes(module: &Module, ty: Handle<Type>) -> u64 {
    match &module.types[ty].inner {
        TypeInner::Array {
            base,
            size: naga::ArraySize::Constant(n),
            stride,
        } => u64::from(n.get()).saturating_mul(u64::from(*stride).max(bytes(module, *base))),
        TypeInner::Struct { members, span } => {
            let parts = members.iter().map(|m| bytes(module, m.ty));
            parts.fold(0, u64::saturating_add).max(u64::from(*span))
        }
        TypeInner::Scalar(s) => u64::from(s.width),
        TypeInner::Vector { size, scalar } => *size as u64 * u64::from(scalar.width),
        TypeInner::Matrix {
            columns,
            rows,
            scalar,
        } => *columns as u64 * *rows as u64 * u64::from(scalar.width),
        _ => 0,
    }
}

fn size(module: &Module, function: &Function, earlier: &[Size]) -> Size {
    let variables = function.local_variables.iter();
    let mut total = Size {
        operations: function.expressions.len() as u64,
        variable_bytes: variables
            .map(|(_, v)| bytes(module, v.ty))
            .fold(0, u64::saturating_add),
        nesting: 0,
    };
    add_block(&function.body, 1, earlier, &mut total);
    total
}

fn add_block(block: &Block, level: u32, earlier: &[Size], total: &mut Size) {
    total.nesting = total.nesting.max(level);
    total.operations = total.operations.saturating_add(block.len() as u64);
    // Deeper blocks need not be looked into to refuse the function, and might exhaust the stack.
    if level > NESTING {
        return;
    }
    for statement in block {
        match statement {
            Statement::Block(inner) => add_block(inner, level + 1, earlier, total),
            Statement::If { accept, reject, .. } => {
                add_block(accept, level + 1, earlier, total);
                add_block(reject, level + 1, earlier, total);
            }
            Statement::Switch { cases, .. } => {
                total.operations = total.operations.saturating_add(cases.len() as u64);
                for case in cases {
                    add_block(&case.body, level + 1, earlier, total);
                }
            }
            Statement::Loop {
                body, continuing, ..
            } => {
                add_block(body, level + 1, earlier, total);
                add_block(continuing, level + 1, earlier, total);
            }
            Statement::Call { function, .. } => {
                let called = earlier.get(function.index()).copied().unwrap_or_default();
                total.operations = total.operations.saturating_add(called.operations);
                total.variable_bytes = total.variable_bytes.saturating_add(called.variable_bytes);
                total.nesting = total.nesting.max(level.saturating_add(called.nesting));
            }
            _ => {}
        }
    }
}

/// Where an expression has too many operations in a chain, if one has. Those before a `let` do not count.
fn too_deep(function: &Function) -> Option<Span> {
    let mut depths: Vec<u32> = Vec::with_capacity(function.expressions.len());
    for (handle, expression) in function.expressions.iter() {
        let of = |e: &Handle<Expression>| depths.get(e.index()).copied().unwrap_or(0);
        let most = |all: &[&Handle<Expression>]| all.iter().map(|e| of(e)).max().unwrap_or(0);
        let below = match expression {
            Expression::Compose { components, .. } => components.iter().map(of).max().unwrap_or(0),
            Expression::Access { base, index } => most(&[base, index]),
            Expression::AccessIndex { base: e, .. }
            | Expression::Splat { value: e, .. }
            | Expression::Swizzle { vector: e, .. }
            | Expression::Load { pointer: e }
            | Expression::Unary { expr: e, .. }
            | Expression::Derivative { expr: e, .. }
            | Expression::Relational { argument: e, .. }
            | Expression::As { expr: e, .. } => of(e),
            Expression::Binary { left, right, .. } => most(&[left, right]),
            Expression::Select {
                condition,
                accept,
                reject,
            } => most(&[condition, accept, reject]),
            Expression::Math {
                arg,
                arg1,
                arg2,
                arg3,
                ..
            } => [Some(arg), arg1.as_ref(), arg2.as_ref(), arg3.as_ref()]
                .into_iter()
                .flatten()
                .map(of)
                .max()
                .unwrap_or(0),
            _ => 0,
        };
        if below >= DEPTH {
            return Some(function.expressions.get_span(handle));
        }
        let named = function.named_expressions.contains_key(&handle);
        depths.push(if named { 0 } else { below + 1 });
    }
    None
}
