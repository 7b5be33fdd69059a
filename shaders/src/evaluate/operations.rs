//! WGSL's operators and functions on values, part by part.

use super::Value;
use naga::{
    BinaryOperator, MathFunction, RelationalFunction, ScalarKind, SwizzleComponent, UnaryOperator,
};

pub(super) fn each(
    v: &Value,
    f: impl Fn(&Value) -> Result<Value, String> + Copy,
) -> Result<Value, String> {
    match v {
        Value::List(list) => Ok(Value::List(
            list.iter().map(|v| each(v, f)).collect::<Result<_, _>>()?,
        )),
        v => f(v),
    }
}

/// Applies `f` to each pair of parts. A number paired with a vector is used with each of its parts.
pub(super) fn pairs(
    l: &Value,
    r: &Value,
    f: impl Fn(&Value, &Value) -> Result<Value, String> + Copy,
) -> Result<Value, String> {
    let list = |parts: Vec<Result<Value, String>>| {
        parts.into_iter().collect::<Result<_, _>>().map(Value::List)
    };
    match (l, r) {
        (Value::List(a), Value::List(b)) => {
            list(a.iter().zip(b).map(|(a, b)| pairs(a, b, f)).collect())
        }
        (Value::List(a), b) => list(a.iter().map(|a| pairs(a, b, f)).collect()),
        (a, Value::List(b)) => list(b.iter().map(|b| pairs(a, b, f)).collect()),
        (a, b) => f(a, b),
    }
}

/// The parts of a vector that the letters of `pattern` name.
pub(super) fn swizzle(vector: &Value, pattern: &[SwizzleComponent]) -> Result<Value, String> {
    let Value::List(list) = vector else {
        return Err("a swizzle of a number".into());
    };
    let part = |p: &SwizzleComponent| list.get(*p as usize).cloned();
    let parts: Option<_> = pattern.iter().map(part).collect();
    Ok(Value::List(parts.ok_or("an index out of range")?))
}

/// `accept` where the condition holds, `reject` elsewhere; part by part where the condition is a vector.
pub(super) fn select(condition: Value, accept: Value, reject: Value) -> Result<Value, String> {
    Ok(match (condition, accept, reject) {
        (Value::Bool(true), accept, _) => accept,
        (Value::Bool(false), _, reject) => reject,
        (Value::List(c), Value::List(a), Value::List(r)) => Value::List(
            c.into_iter()
                .zip(a.into_iter().zip(r))
                .map(|(c, (a, r))| if c == Value::Bool(true) { a } else { r })
                .collect(),
        ),
        _ => return Err("a select of different shapes".into()),
    })
}

pub(super) fn unary(op: UnaryOperator, v: &Value) -> Result<Value, String> {
    Ok(match (op, v) {
        (UnaryOperator::Negate, Value::Float(v)) => Value::Float(-v),
        (UnaryOperator::Negate, Value::Int(v)) => Value::Int(-v),
        (UnaryOperator::LogicalNot, Value::Bool(v)) => Value::Bool(!v),
        other => return Err(format!("the operation {other:?}")),
    })
}

pub(super) fn binary(op: BinaryOperator, l: &Value, r: &Value) -> Result<Value, String> {
    use BinaryOperator as Op;
    let compare = |order: Option<std::cmp::Ordering>| {
        let Some(o) = order else {
            return Some(op == Op::NotEqual);
        };
        Some(match op {
            Op::Equal => o.is_eq(),
            Op::NotEqual => o.is_ne(),
            Op::Less => o.is_lt(),
            Op::LessEqual => o.is_le(),
            Op::Greater => o.is_gt(),
            Op::GreaterEqual => o.is_ge(),
            _ => return None,
        })
    };
    Ok(match (l, r) {
        (Value::Float(a), Value::Float(b)) => match (op, compare(a.partial_cmp(b))) {
            (Op::Add, _) => Value::Float(a + b),
            (Op::Subtract, _) => Value::Float(a - b),
            (Op::Multiply, _) => Value::Float(a * b),
            (Op::Divide, _) => Value::Float(a / b),
            (Op::Modulo, _) => Value::Float(a % b),
            (_, Some(truth)) => Value::Bool(truth),
            _ => return Err(format!("the operation {op:?}")),
        },
        (Value::Int(a), Value::Int(b)) => match (op, compare(a.partial_cmp(b))) {
            (Op::Add, _) => whole(a.checked_add(*b))?,
            (Op::Subtract, _) => whole(a.checked_sub(*b))?,
            (Op::Multiply, _) => whole(a.checked_mul(*b))?,
            // WGSL: x / 0 = x, x % 0 = 0.
            (Op::Divide, _) => Value::Int(a.checked_div(*b).unwrap_or(*a)),
            (Op::Modulo, _) => Value::Int(a.checked_rem(*b).unwrap_or(0)),
            (_, Some(truth)) => Value::Bool(truth),
            _ => return Err(format!("the operation {op:?} on whole numbers")),
        },
        (Value::Uint(a), Value::Uint(b)) => match (op, compare(a.partial_cmp(b))) {
            (Op::Add, _) => Value::Uint(a.wrapping_add(*b)),
            (Op::Subtract, _) => Value::Uint(a.wrapping_sub(*b)),
            (Op::Multiply, _) => Value::Uint(a.wrapping_mul(*b)),
            (Op::Divide, _) => Value::Uint(a.checked_div(*b).unwrap_or(*a)),
            (Op::Modulo, _) => Value::Uint(a.checked_rem(*b).unwrap_or(0)),
            (Op::And, _) => Value::Uint(a & b),
            (Op::InclusiveOr, _) => Value::Uint(a | b),
            (Op::ExclusiveOr, _) => Value::Uint(a ^ b),
            // WGSL: the distance is taken modulo 32.
            (Op::ShiftLeft, _) => Value::Uint(a.wrapping_shl(*b)),
            (Op::ShiftRight, _) => Value::Uint(a.wrapping_shr(*b)),
            (_, Some(truth)) => Value::Bool(truth),
            _ => return Err(format!("the operation {op:?} on u32")),
        },
        (Value::Bool(a), Value::Bool(b)) => match op {
            Op::LogicalAnd | Op::And => Value::Bool(*a && *b),
            Op::LogicalOr | Op::InclusiveOr => Value::Bool(*a || *b),
            Op::Equal => Value::Bool(a == b),
            Op::NotEqual => Value::Bool(a != b),
            _ => return Err(format!("the operation {op:?} on bools")),
        },
        _ => return Err(format!("the operation {op:?} on different types")),
    })
}

/// Fails on a number outside the range of i32, which would wrap on a device.
fn whole(v: Option<i64>) -> Result<Value, String> {
    match v {
        Some(v) if i32::try_from(v).is_ok() => Ok(Value::Int(v)),
        _ => Err("an i32 beyond 32 bits".into()),
    }
}

pub(super) fn relational(fun: RelationalFunction, v: &Value) -> Result<Value, String> {
    let truths = |v: &Value| match v {
        Value::List(list) => list.iter().map(|v| *v == Value::Bool(true)).collect(),
        v => vec![*v == Value::Bool(true)],
    };
    match fun {
        RelationalFunction::All => Ok(Value::Bool(truths(v).into_iter().all(|t| t))),
        RelationalFunction::Any => Ok(Value::Bool(truths(v).into_iter().any(|t| t))),
        RelationalFunction::IsNan => each(v, |v| Ok(Value::Bool(v.float().is_nan()))),
        RelationalFunction::IsInf => each(v, |v| Ok(Value::Bool(v.float().is_infinite()))),
    }
}

pub(super) fn convert(kind: ScalarKind, v: &Value) -> Result<Value, String> {
    // A conversion between i32 and u32 keeps the bits.
    match (kind, v) {
        (ScalarKind::Uint, Value::Int(v)) => return Ok(Value::Uint(*v as u32)),
        (ScalarKind::Sint, Value::Uint(v)) => return Ok(Value::Int(i64::from(*v as i32))),
        _ => {}
    }
    let number = match v {
        Value::Uint(v) => f64::from(*v),
        Value::Float(v) => *v,
        Value::Int(v) => *v as f64,
        Value::Bool(b) => f64::from(u8::from(*b)),
        _ => return Err("a conversion of a list".into()),
    };
    Ok(match kind {
        ScalarKind::Float | ScalarKind::AbstractFloat => Value::Float(number),
        ScalarKind::Sint => Value::Int(i64::from(number as i32)),
        ScalarKind::Uint => Value::Uint(number as u32),
        ScalarKind::AbstractInt => Value::Int(number as i64),
        ScalarKind::Bool => Value::Bool(number != 0.0),
    })
}

pub(super) fn math(fun: MathFunction, a: &[Value]) -> Result<Value, String> {
    use MathFunction as M;
    let float = |f: fn(f64) -> f64| each(&a[0], |v| Ok(Value::Float(f(v.float()))));
    let two = |f: fn(f64, f64) -> f64| {
        let Some(b) = a.get(1) else {
            return Err(format!("{fun:?} of one argument"));
        };
        pairs(&a[0], b, |x, y| {
            Ok(match (x, y) {
                (Value::Int(x), Value::Int(y)) => Value::Int(f(*x as f64, *y as f64) as i64),
                (Value::Uint(x), Value::Uint(y)) => {
                    Value::Uint(f(f64::from(*x), f64::from(*y)) as u32)
                }
                _ => Value::Float(f(x.float(), y.float())),
            })
        })
    };
    // f(x, y, z) part by part.
    let three = |f: fn(f64, f64, f64) -> f64| {
        let [x, y, z] = a else {
            return Err(format!("{fun:?} of {} arguments", a.len()));
        };
        let at = |v: &Value, i: usize| match v {
            Value::List(list) => list.get(i).map_or(f64::NAN, Value::float),
            v => v.float(),
        };
        Ok(match x {
            Value::List(list) => Value::List(
                (0..list.len())
                    .map(|i| Value::Float(f(at(x, i), at(y, i), at(z, i))))
                    .collect(),
            ),
            _ => Value::Float(f(x.float(), y.float(), z.float())),
        })
    };
    match fun {
        M::Abs => each(&a[0], |v| {
            Ok(match v {
                Value::Int(v) => Value::Int(v.abs()),
                Value::Uint(v) => Value::Uint(*v),
                v => Value::Float(v.float().abs()),
            })
        }),
        M::Min => two(f64::min),
        M::Max => two(f64::max),
        M::Pow => two(f64::powf),
        M::Atan2 => two(f64::atan2),
        M::Step => two(|edge, x| f64::from(u8::from(x >= edge))),
        M::Clamp => three(|x, low, high| x.max(low).min(high)),
        M::Mix => three(|x, y, t| x * (1.0 - t) + y * t),
        M::Fma => three(|x, y, z| x * y + z),
        M::SmoothStep => three(|low, high, x| {
            let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
            t * t * (3.0 - 2.0 * t)
        }),
        M::Saturate => float(|x| x.clamp(0.0, 1.0)),
        M::Sign => float(|x| if x == 0.0 { 0.0 } else { x.signum() }),
        M::Exp => float(f64::exp),
        M::Exp2 => float(f64::exp2),
        M::Log => float(f64::ln),
        M::Log2 => float(f64::log2),
        M::Sqrt => float(f64::sqrt),
        M::InverseSqrt => float(|x| 1.0 / x.sqrt()),
        M::Sin => float(f64::sin),
        M::Cos => float(f64::cos),
        M::Tan => float(f64::tan),
        M::Sinh => float(f64::sinh),
        M::Cosh => float(f64::cosh),
        M::Tanh => float(f64::tanh),
        M::Asin => float(f64::asin),
        M::Acos => float(f64::acos),
        M::Atan => float(f64::atan),
        M::Asinh => float(f64::asinh),
        M::Acosh => float(f64::acosh),
        M::Atanh => float(f64::atanh),
        M::Floor => float(f64::floor),
        M::Ceil => float(f64::ceil),
        M::Round => float(f64::round_ties_even),
        M::Trunc => float(f64::trunc),
        M::Fract => float(|x| x - x.floor()),
        M::Dot => {
            let (Value::List(x), Some(Value::List(y))) = (&a[0], a.get(1)) else {
                return Err("a dot of numbers".into());
            };
            let products = x.iter().zip(y).map(|(x, y)| x.float() * y.float());
            Ok(Value::Float(products.sum()))
        }
        other => Err(format!("the function {other:?}")),
    }
}
