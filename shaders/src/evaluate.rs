//! Evaluates a function of a validated module on the CPU side, in f64.
//!
//! With it, a likelihood that is written once, in WGSL, also has a mode, a preflight, predictions and a CPU engine. It
//! walks naga's expressions: slower than a body in Rust, exact up to the f32 constants in the text. Functions of the
//! library such as `exp_of`, which use the bits of f32, are replaced by the f64 functions they approximate (`native`).

mod operations;

use crate::limits::MOST_ITERATIONS;
use naga::{
    Block, Expression, Function, Handle, Literal, Module, ScalarKind, Span, Statement, SwitchValue,
    TypeInner,
};
use operations::{binary, convert, each, math, pairs, relational, select, swizzle, unary};

/// Most work of a call: statements, and parts of the arrays that it copies. A tenth of a second or so.
const MOST_WORK: usize = 1_000_000;

/// Why a call was not evaluated to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Stopped {
    /// What was found.
    pub what: String,
    /// The statement, if it is known.
    pub at: Option<Span>,
}

impl From<String> for Stopped {
    fn from(what: String) -> Stopped {
        Stopped { what, at: None }
    }
}

impl From<&str> for Stopped {
    fn from(what: &str) -> Stopped {
        Stopped::from(what.to_string())
    }
}

/// What is left of a call's work and loop iterations.
#[derive(Debug)]
struct Fuel {
    work: usize,
    iterations: u32,
}

impl Fuel {
    fn work(&mut self, by: usize) -> Result<(), Stopped> {
        let left = self.work.checked_sub(by);
        self.work = left.ok_or_else(|| format!("a call of more than {MOST_WORK} operations"))?;
        Ok(())
    }

    fn iterate(&mut self) -> Result<(), Stopped> {
        let left = self.iterations.checked_sub(1);
        self.iterations = left.ok_or_else(|| {
            format!("loops of more than {MOST_ITERATIONS} iterations in one call")
        })?;
        Ok(())
    }
}

/// A WGSL value, with f32 widened to f64.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// An `f32`, as f64.
    Float(f64),
    /// An `i32`.
    Int(i64),
    /// A `u32`, whose arithmetic wraps.
    Uint(u32),
    /// A `bool`.
    Bool(bool),
    /// Parts of a vector, array or struct.
    List(Vec<Value>),
    /// Index of a local variable, then the indices that lead to a part of it.
    Pointer(usize, Vec<usize>),
}

impl Value {
    /// The number of a float; NaN for anything else.
    pub fn float(&self) -> f64 {
        match self {
            Value::Float(v) => *v,
            _ => f64::NAN,
        }
    }

    /// Writes the floats of a list to `out`; NaN for anything else.
    pub fn write(&self, out: &mut [f64]) {
        match self {
            Value::List(list) => out.iter_mut().zip(list).for_each(|(o, v)| *o = v.float()),
            _ => out.fill(f64::NAN),
        }
    }

    /// A list of floats.
    pub fn floats(values: &[f64]) -> Value {
        Value::List(values.iter().map(|v| Value::Float(*v)).collect())
    }

    /// Work of a copy: the parts of a list that is more than a vector.
    fn parts(&self) -> usize {
        match self {
            Value::List(list) if list.len() > 4 => list.len() / 4,
            _ => 0,
        }
    }

    fn int(&self) -> Result<i64, String> {
        match self {
            Value::Int(v) => Ok(*v),
            Value::Uint(v) => Ok(i64::from(*v)),
            _ => Err("expected a whole number".into()),
        }
    }
}

/// Calls a function of the module.
///
/// # Errors
/// WGSL that the CPU side cannot evaluate: textures, atomics, matrices, bit casts, an index out of range, or loops that do
/// not end.
pub fn call(
    module: &Module,
    function: Handle<Function>,
    arguments: Vec<Value>,
) -> Result<Value, Stopped> {
    let mut fuel = Fuel {
        work: MOST_WORK,
        iterations: MOST_ITERATIONS,
    };
    run(module, function, arguments, &mut fuel)
}

/// Functions that the library computes from the bits of an f32, here in f64; `None` for any other name.
fn native(name: &str, a: &[Value]) -> Option<Value> {
    use sngd_core::real::Real;
    if name == "more_uniform" {
        // The i-th further uniform of a label is at its address plus i.
        let (Value::List(address), i) = (a.first()?, a.get(1)?.int().ok()?) else {
            return None;
        };
        let word = |k: usize| address.get(k).and_then(|w| w.int().ok()).unwrap_or(0) as u32;
        let counter = [word(0).wrapping_add(i as u32), word(1), word(2), word(3)];
        let bits = sngd_core::philox::philox(counter, [0, 0]);
        return Some(Value::Float(sngd_core::philox::uniform(bits[0])));
    }
    let x = a.first()?.float();
    let erfcx = |x: f64| <f64 as Real>::erfcx(x);
    Some(Value::Float(match name {
        "exp_of" => x.exp(),
        "ln_of" => x.ln(),
        "ln_1p" => x.ln_1p(),
        "exp_m1" => x.exp_m1(),
        "erfcx" => erfcx(x),
        "ln_gamma" if x > 0.0 => libm::lgamma(x),
        "ln_gamma" => f64::NAN,
        _ => return None,
    }))
}

enum Flow {
    Next,
    Break,
    Continue,
    Return(Value),
}

struct Frame<'a> {
    module: &'a Module,
    function: &'a Function,
    arguments: Vec<Value>,
    locals: Vec<Value>,
    values: Vec<Option<Value>>,
    fuel: &'a mut Fuel,
}

fn run(
    module: &Module,
    function: Handle<Function>,
    arguments: Vec<Value>,
    fuel: &mut Fuel,
) -> Result<Value, Stopped> {
    let function = &module.functions[function];
    if let Some(v) = native(function.name.as_deref().unwrap_or_default(), &arguments) {
        return Ok(v);
    }
    let mut frame = Frame {
        module,
        function,
        arguments,
        locals: Vec::with_capacity(function.local_variables.len()),
        values: vec![None; function.expressions.len()],
        fuel,
    };
    for (_, local) in function.local_variables.iter() {
        let value = match local.init {
            Some(init) => frame.get(init)?,
            None => zero(module, local.ty)?,
        };
        frame.locals.push(value);
    }
    match frame.block(&function.body)? {
        Flow::Return(v) => Ok(v),
        _ => Ok(Value::List(vec![])),
    }
}

fn zero(module: &Module, ty: Handle<naga::Type>) -> Result<Value, String> {
    let scalar = |kind: ScalarKind| match kind {
        ScalarKind::Bool => Value::Bool(false),
        ScalarKind::Float | ScalarKind::AbstractFloat => Value::Float(0.0),
        ScalarKind::Uint => Value::Uint(0),
        _ => Value::Int(0),
    };
    Ok(match &module.types[ty].inner {
        TypeInner::Scalar(s) => scalar(s.kind),
        TypeInner::Vector { size, scalar: s } => Value::List(vec![scalar(s.kind); *size as usize]),
        TypeInner::Array {
            base,
            size: naga::ArraySize::Constant(n),
            ..
        } => Value::List(vec![zero(module, *base)?; n.get() as usize]),
        TypeInner::Struct { members, .. } => Value::List(
            members
                .iter()
                .map(|m| zero(module, m.ty))
                .collect::<Result<_, _>>()?,
        ),
        other => return Err(format!("a value of type {other:?}")),
    })
}

fn literal(l: Literal) -> Result<Value, String> {
    Ok(match l {
        Literal::F32(v) => Value::Float(f64::from(v)),
        Literal::F64(v) | Literal::AbstractFloat(v) => Value::Float(v),
        Literal::U32(v) => Value::Uint(v),
        Literal::I32(v) => Value::Int(i64::from(v)),
        Literal::AbstractInt(v) => Value::Int(v),
        Literal::Bool(v) => Value::Bool(v),
        other => return Err(format!("the literal {other:?}")),
    })
}

/// A vector, array or struct of the values of its components.
fn compose<E: From<&'static str>>(
    module: &Module,
    ty: Handle<naga::Type>,
    components: &[Handle<Expression>],
    mut value_of: impl FnMut(Handle<Expression>) -> Result<Value, E>,
) -> Result<Value, E> {
    let inner = &module.types[ty].inner;
    if matches!(inner, TypeInner::Matrix { .. }) {
        return Err("a matrix".into());
    }
    let vector = matches!(inner, TypeInner::Vector { .. });
    let mut list = Vec::with_capacity(components.len());
    for c in components {
        match value_of(*c)? {
            // vec4(vec2, …) uses the parts of its arguments.
            Value::List(parts) if vector => list.extend(parts),
            v => list.push(v),
        }
    }
    Ok(Value::List(list))
}

/// Evaluates the expression of a constant.
fn constant(module: &Module, e: Handle<Expression>) -> Result<Value, String> {
    match &module.global_expressions[e] {
        Expression::Literal(l) => literal(*l),
        Expression::Constant(c) => constant(module, module.constants[*c].init),
        Expression::ZeroValue(ty) => zero(module, *ty),
        Expression::Compose { ty, components } => {
            compose(module, *ty, components, |c| constant(module, c))
        }
        Expression::Splat { size, value } => {
            Ok(Value::List(vec![constant(module, *value)?; *size as usize]))
        }
        other => Err(format!("the constant expression {other:?}")),
    }
}

impl Frame<'_> {
    fn block(&mut self, block: &Block) -> Result<Flow, Stopped> {
        for (statement, span) in block.span_iter() {
            let flow = self.statement(statement).map_err(|e| Stopped {
                at: e.at.or(Some(*span)),
                ..e
            })?;
            match flow {
                Flow::Next => {}
                other => return Ok(other),
            }
        }
        Ok(Flow::Next)
    }

    fn statement(&mut self, statement: &Statement) -> Result<Flow, Stopped> {
        self.fuel.work(1)?;
        match statement {
            Statement::Emit(range) => {
                for handle in range.clone() {
                    let value = self.evaluate(handle)?;
                    self.values[handle.index()] = Some(value);
                }
            }
            Statement::Block(inner) => return self.block(inner),
            Statement::If {
                condition,
                accept,
                reject,
            } => {
                let taken = if self.truth(*condition)? {
                    accept
                } else {
                    reject
                };
                return self.block(taken);
            }
            Statement::Switch { selector, cases } => {
                let at = self.get(*selector)?.int()?;
                let hit = |value: &SwitchValue| match value {
                    SwitchValue::I32(v) => i64::from(*v) == at,
                    SwitchValue::U32(v) => i64::from(*v) == at,
                    SwitchValue::Default => false,
                };
                let found = cases.iter().position(|c| hit(&c.value)).or_else(|| {
                    let default = |c: &naga::SwitchCase| c.value == SwitchValue::Default;
                    cases.iter().position(default)
                });
                for case in cases.iter().skip(found.unwrap_or(cases.len())) {
                    match self.block(&case.body)? {
                        Flow::Next if case.fall_through => {}
                        Flow::Next | Flow::Break => break,
                        other => return Ok(other),
                    }
                }
            }
            Statement::Loop {
                body,
                continuing,
                break_if,
            } => loop {
                self.fuel.iterate()?;
                match self.block(body)? {
                    Flow::Next | Flow::Continue => {}
                    Flow::Break => break,
                    other => return Ok(other),
                }
                match self.block(continuing)? {
                    Flow::Next => {}
                    other => return Ok(other),
                }
                if let Some(end) = break_if
                    && self.truth(*end)?
                {
                    break;
                }
            },
            Statement::Break => return Ok(Flow::Break),
            Statement::Continue => return Ok(Flow::Continue),
            Statement::Return { value } => {
                return Ok(Flow::Return(match value {
                    Some(v) => self.get(*v)?,
                    None => Value::List(vec![]),
                }));
            }
            Statement::Store { pointer, value } => {
                let value = self.get(*value)?;
                self.fuel.work(value.parts())?;
                let Value::Pointer(local, path) = self.get(*pointer)? else {
                    return Err("a store outside a function's own variables".into());
                };
                *self.place(local, path)? = value;
            }
            Statement::Call {
                function,
                arguments,
                result,
            } => {
                let arguments = arguments
                    .iter()
                    .map(|a| self.get(*a))
                    .collect::<Result<Vec<_>, _>>()?;
                // A pointer names a variable of this function, which the other does not have.
                if arguments.iter().any(|a| matches!(a, Value::Pointer(..))) {
                    return Err("a pointer passed to a function".into());
                }
                let value = run(self.module, *function, arguments, self.fuel)?;
                if let Some(r) = result {
                    self.values[r.index()] = Some(value);
                }
            }
            other => return Err(format!("the statement {other:?}").into()),
        }
        Ok(Flow::Next)
    }

    fn truth(&mut self, e: Handle<Expression>) -> Result<bool, Stopped> {
        match self.get(e)? {
            Value::Bool(b) => Ok(b),
            _ => Err("a condition that is no bool".into()),
        }
    }

    fn get(&mut self, e: Handle<Expression>) -> Result<Value, Stopped> {
        match &self.values[e.index()] {
            Some(v) => {
                self.fuel.work(v.parts())?;
                Ok(v.clone())
            }
            None => self.evaluate(e),
        }
    }

    fn evaluate(&mut self, e: Handle<Expression>) -> Result<Value, Stopped> {
        let function = self.function;
        let value = match &function.expressions[e] {
            Expression::Literal(l) => literal(*l)?,
            Expression::Constant(c) => constant(self.module, self.module.constants[*c].init)?,
            Expression::ZeroValue(ty) => zero(self.module, *ty)?,
            Expression::Compose { ty, components } => {
                compose(self.module, *ty, components, |c| self.get(c))?
            }
            Expression::Splat { size, value } => {
                Value::List(vec![self.get(*value)?; *size as usize])
            }
            Expression::Swizzle {
                size,
                vector,
                pattern,
            } => swizzle(&self.get(*vector)?, &pattern[..*size as usize])?,
            Expression::Access { base, index } => {
                let i = self.get(*index)?.int()?;
                self.part(*base, usize::try_from(i).map_err(|e| e.to_string())?)?
            }
            Expression::AccessIndex { base, index } => self.part(*base, *index as usize)?,
            Expression::FunctionArgument(i) => self.arguments[*i as usize].clone(),
            Expression::LocalVariable(v) => Value::Pointer(v.index(), vec![]),
            Expression::Load { pointer } => {
                let Value::Pointer(local, path) = self.get(*pointer)? else {
                    return Err("a buffer".into());
                };
                self.place(local, path)?.clone()
            }
            Expression::Unary { op, expr } => {
                let v = self.get(*expr)?;
                each(&v, |v| unary(*op, v))?
            }
            Expression::Binary { op, left, right } => {
                let (l, r) = (self.get(*left)?, self.get(*right)?);
                pairs(&l, &r, |l, r| binary(*op, l, r))?
            }
            Expression::Select {
                condition,
                accept,
                reject,
            } => select(
                self.get(*condition)?,
                self.get(*accept)?,
                self.get(*reject)?,
            )?,
            Expression::Relational { fun, argument } => relational(*fun, &self.get(*argument)?)?,
            Expression::Math {
                fun,
                arg,
                arg1,
                arg2,
                ..
            } => {
                let mut all = vec![self.get(*arg)?];
                for a in [arg1, arg2].into_iter().flatten() {
                    all.push(self.get(*a)?);
                }
                math(*fun, &all)?
            }
            Expression::As {
                expr,
                kind,
                convert: Some(_),
            } => {
                let v = self.get(*expr)?;
                each(&v, |v| convert(*kind, v))?
            }
            Expression::CallResult(_) => return Err("the result of a call not made".into()),
            other => return Err(format!("the expression {other:?}").into()),
        };
        self.fuel.work(value.parts())?;
        Ok(value)
    }

    /// The part of a local variable that the indices of `path` lead to.
    fn place(&mut self, local: usize, path: Vec<usize>) -> Result<&mut Value, String> {
        let place = self.locals.get_mut(local);
        let mut place = place.ok_or("a variable of another function")?;
        for i in path {
            place = match place {
                Value::List(list) => list.get_mut(i).ok_or("an index out of range")?,
                _ => return Err("an index into a number".into()),
            };
        }
        Ok(place)
    }

    fn part(&mut self, base: Handle<Expression>, i: usize) -> Result<Value, Stopped> {
        Ok(match self.get(base)? {
            Value::Pointer(local, mut path) => {
                path.push(i);
                Value::Pointer(local, path)
            }
            Value::List(list) => list.into_iter().nth(i).ok_or("an index out of range")?,
            _ => return Err("an index into a number".into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f(body: &str, x: Value) -> Result<Value, Stopped> {
        let ty = if matches!(x, Value::Uint(_)) {
            "u32"
        } else {
            "i32"
        };
        let text = format!("fn f(x: {ty}) -> f32 {{ {body} }}");
        let module = naga::front::wgsl::parse_str(&text).unwrap();
        let (function, _) = module.functions.iter().next().unwrap();
        call(&module, function, vec![x])
    }

    #[test]
    fn u32_wraps_and_i32_may_not() {
        let high = Value::Float(f64::from(u32::MAX >> 8));
        assert_eq!(f("return f32((x - 1u) >> 8u);", Value::Uint(0)), Ok(high));
        let wrapped = Value::Float(4.0);
        assert_eq!(
            f("return f32(x * 5u);", Value::Uint(0x3333_3334)),
            Ok(wrapped)
        );
        assert_eq!(
            f("return f32(u32(x) ^ 0xffffffffu);", Value::Int(-3)),
            Ok(Value::Float(2.0))
        );
        assert!(f("return f32(x - 1);", Value::Int(i64::from(i32::MIN))).is_err());
    }
}
