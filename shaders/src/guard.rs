//! Gives every loop of a user's text an end: a counter in the parsed module, which no compiler can leave out. A function whose
//! loops run longer returns NaN, a number that no draw survives.

use crate::{CONTRACT, LinkError, Linked};
use naga::{
    AddressSpace, Arena, BinaryOperator, Block, Expression, Function, FunctionResult,
    GlobalVariable, Handle, Literal, MemoryDecorations, Module, Range, Scalar, ScalarKind, Span,
    Statement, Type, TypeInner, UniqueArena,
};

/// Largest number of iterations of all loops of a user's text together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// In each call from a kernel.
    Call(u32),
    /// In all calls of a thread in a dispatch.
    Thread(u32),
}

impl Linked {
    /// Whether the user's text has a loop. False for a module that does not validate.
    pub fn has_users_loop(&self) -> bool {
        let Ok(checked) = self.validate() else {
            return false;
        };
        let functions = &checked.module.functions;
        (functions.iter()).any(|(f, x)| has_loop(&x.body) && self.is_users(functions.get_span(f)))
    }

    /// The module with an end to every loop of the user's text.
    ///
    /// # Errors
    /// A module that does not validate.
    pub fn guarded(&self, budget: Budget) -> Result<Module, LinkError> {
        let mut module = self.validate()?.module.clone();
        if !self.has_users_loop() {
            return Ok(module);
        }
        let users: Vec<bool> = (module.functions.iter())
            .map(|(handle, _)| self.is_users(module.functions.get_span(handle)))
            .collect();
        let is_users = |f: Handle<Function>| users.get(f.index()).copied().unwrap_or(false);
        let whole = Type {
            name: None,
            inner: TypeInner::Scalar(Scalar::U32),
        };
        let counter = GlobalVariable {
            name: Some("iterations_of_user".into()),
            space: AddressSpace::Private,
            binding: None,
            ty: module.types.insert(whole, Span::UNDEFINED),
            init: None,
            memory_decorations: MemoryDecorations::empty(),
        };
        let counter = module.global_variables.append(counter, Span::UNDEFINED);
        let (Budget::Call(most) | Budget::Thread(most)) = budget;
        let Module {
            functions,
            types,
            entry_points,
            ..
        } = &mut module;
        for (handle, function) in functions.iter_mut() {
            if is_users(handle) {
                Guard::new(function, types, counter, most).bound(function);
            } else if matches!(budget, Budget::Call(_)) {
                start_anew(function, counter, &is_users);
            }
        }
        if matches!(budget, Budget::Call(_)) {
            for point in entry_points {
                start_anew(&mut point.function, counter, &is_users);
            }
        }
        Ok(module)
    }
}

fn has_loop(block: &Block) -> bool {
    block.iter().any(|statement| match statement {
        Statement::Loop { .. } => true,
        Statement::Block(inner) => has_loop(inner),
        Statement::If { accept, reject, .. } => has_loop(accept) || has_loop(reject),
        Statement::Switch { cases, .. } => cases.iter().any(|c| has_loop(&c.body)),
        _ => false,
    })
}

/// Sets the counter to 0 before each call of a user's function.
fn start_anew(
    function: &mut Function,
    counter: Handle<GlobalVariable>,
    is_users: &impl Fn(Handle<Function>) -> bool,
) {
    let mut add = |e| function.expressions.append(e, Span::UNDEFINED);
    let reset = Statement::Store {
        pointer: add(Expression::GlobalVariable(counter)),
        value: add(Expression::Literal(Literal::U32(0))),
    };
    rewrite(&mut function.body, &mut |statement, before| {
        if let Statement::Call { function, .. } = statement
            && is_users(*function)
        {
            before.push(reset.clone(), Span::UNDEFINED);
        }
    });
}

/// Puts statements before each statement of a block, inner blocks first: those that `before` adds.
fn rewrite(block: &mut Block, before: &mut impl FnMut(&Statement, &mut Block)) {
    let old = std::mem::take(block);
    for (mut statement, span) in old.span_into_iter() {
        match &mut statement {
            Statement::Block(inner) => rewrite(inner, before),
            Statement::If { accept, reject, .. } => {
                rewrite(accept, before);
                rewrite(reject, before);
            }
            Statement::Switch { cases, .. } => {
                cases.iter_mut().for_each(|c| rewrite(&mut c.body, before));
            }
            Statement::Loop {
                body, continuing, ..
            } => {
                rewrite(body, before);
                rewrite(continuing, before);
            }
            _ => {}
        }
        before(&statement, block);
        block.push(statement, span);
    }
}

/// How a loop that goes on for too long is left. WGSL allows no return from a `continuing` block, so that a loop in one is left alone:
/// the counter stays beyond its limit, and the loop around it returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Return,
    Break,
}

/// What bounds the loops of one function.
struct Guard {
    counter: Handle<Expression>,
    one: Handle<Expression>,
    most: Handle<Expression>,
    nan_bits: Handle<Expression>,
    zero: Option<Handle<Expression>>,
    result: Option<Nan>,
    is_called: bool,
}

/// How NaN of a function's result type is composed.
enum Nan {
    Number,
    Vector(naga::VectorSize),
    Parts(Handle<Type>, Vec<Nan>),
    /// The same part so many times.
    Array(Handle<Type>, Box<Nan>, usize),
}

impl Nan {
    /// `None` for types with parts that are no floats.
    fn of(types: &UniqueArena<Type>, ty: Handle<Type>) -> Option<Nan> {
        let float = |s: &Scalar| s.kind == ScalarKind::Float && s.width == 4;
        match &types[ty].inner {
            TypeInner::Scalar(s) if float(s) => Some(Nan::Number),
            TypeInner::Vector { size, scalar } if float(scalar) => Some(Nan::Vector(*size)),
            TypeInner::Array {
                base,
                size: naga::ArraySize::Constant(n),
                ..
            } => Some(Nan::Array(
                ty,
                Box::new(Nan::of(types, *base)?),
                n.get() as usize,
            )),
            TypeInner::Struct { members, .. } => {
                let parts = members.iter().map(|m| Nan::of(types, m.ty));
                Some(Nan::Parts(ty, parts.collect::<Option<_>>()?))
            }
            _ => None,
        }
    }

    fn compose(
        &self,
        number: Handle<Expression>,
        expressions: &mut Arena<Expression>,
    ) -> Handle<Expression> {
        let made = match self {
            Nan::Number => return number,
            Nan::Vector(size) => Expression::Splat {
                size: *size,
                value: number,
            },
            Nan::Parts(ty, parts) => Expression::Compose {
                ty: *ty,
                components: (parts.iter())
                    .map(|part| part.compose(number, expressions))
                    .collect(),
            },
            Nan::Array(ty, part, n) => Expression::Compose {
                ty: *ty,
                components: vec![part.compose(number, expressions); *n],
            },
        };
        expressions.append(made, Span::UNDEFINED)
    }
}

impl Guard {
    fn new(
        function: &mut Function,
        types: &UniqueArena<Type>,
        counter: Handle<GlobalVariable>,
        most: u32,
    ) -> Guard {
        let result = function
            .result
            .as_ref()
            .map(|FunctionResult { ty, .. }| *ty);
        let name = function.name.as_deref().unwrap_or_default();
        let is_called = name == "mean" || CONTRACT.iter().any(|(n, _)| *n == name);
        let mut add = |e| function.expressions.append(e, Span::UNDEFINED);
        Guard {
            counter: add(Expression::GlobalVariable(counter)),
            one: add(Expression::Literal(Literal::U32(1))),
            most: add(Expression::Literal(Literal::U32(most))),
            nan_bits: add(Expression::Literal(Literal::U32(0x7fc0_0000))),
            zero: result.map(|ty| add(Expression::ZeroValue(ty))),
            result: result.and_then(|ty| Nan::of(types, ty)),
            is_called,
        }
    }

    fn bound(&self, function: &mut Function) {
        let Function {
            body, expressions, ..
        } = function;
        self.count(body, expressions, Way::Return);
        if self.is_called {
            // What a function of the user's own returned early may have become any number since.
            rewrite(body, &mut |statement, before| {
                if matches!(statement, Statement::Return { value: Some(_) }) {
                    self.leave_if_spent(before, expressions, 0, Way::Return);
                }
            });
        }
    }

    /// Counts iterations at the start of each loop's body.
    fn count(&self, block: &mut Block, expressions: &mut Arena<Expression>, way: Way) {
        for statement in block.iter_mut() {
            match statement {
                Statement::Block(inner) => self.count(inner, expressions, way),
                Statement::If { accept, reject, .. } => {
                    self.count(accept, expressions, way);
                    self.count(reject, expressions, way);
                }
                Statement::Switch { cases, .. } => {
                    (cases.iter_mut()).for_each(|c| self.count(&mut c.body, expressions, way));
                }
                Statement::Loop {
                    body, continuing, ..
                } => {
                    self.count(body, expressions, way);
                    self.count(continuing, expressions, Way::Break);
                    let mut head = Block::new();
                    self.leave_if_spent(&mut head, expressions, 1, way);
                    body.splice(0..0, head);
                }
                _ => {}
            }
        }
    }

    /// Adds 0 or 1 to the counter and leaves where it is beyond its limit: the function with NaN, or the loop.
    fn leave_if_spent(
        &self,
        to: &mut Block,
        expressions: &mut Arena<Expression>,
        by: u32,
        way: Way,
    ) {
        let mut add = |e| expressions.append(e, Span::UNDEFINED);
        let first = add(Expression::Load {
            pointer: self.counter,
        });
        let mut count = first;
        if by == 1 {
            count = add(Expression::Binary {
                op: BinaryOperator::Add,
                left: first,
                right: self.one,
            });
        }
        let spent = add(Expression::Binary {
            op: BinaryOperator::Greater,
            left: count,
            right: self.most,
        });
        let mut push = |statement| to.push(statement, Span::UNDEFINED);
        push(Statement::Emit(Range::new_from_bounds(first, spent)));
        if by == 1 {
            push(Statement::Store {
                pointer: self.counter,
                value: count,
            });
        }
        let mut accept = Block::new();
        let mut value = self.zero;
        if let (Some(nan), Way::Return) = (&self.result, way) {
            // From the counter, so that no compiler knows that it is NaN.
            let bits = expressions.append(
                Expression::Binary {
                    op: BinaryOperator::InclusiveOr,
                    left: count,
                    right: self.nan_bits,
                },
                Span::UNDEFINED,
            );
            let number = Expression::As {
                expr: bits,
                kind: ScalarKind::Float,
                convert: None,
            };
            let number = expressions.append(number, Span::UNDEFINED);
            let whole = nan.compose(number, expressions);
            accept.push(
                Statement::Emit(Range::new_from_bounds(bits, whole)),
                Span::UNDEFINED,
            );
            value = Some(whole);
        }
        let leave = match way {
            Way::Return => Statement::Return { value },
            Way::Break => Statement::Break,
        };
        accept.push(leave, Span::UNDEFINED);
        push(Statement::If {
            condition: spent,
            accept,
            reject: Block::new(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Consts, ModelSource, link};
    use naga::valid::{Capabilities, ValidationFlags, Validator};
    use sngd_core::likelihood::WgslBody;

    fn linked(helper: &str, log_lik: &str) -> Linked {
        let text = format!(
            "{helper}
            fn log_lik(eta: array<f32, H>, obs: vec2<f32>) -> f32 {{ {log_lik} }}
            fn score(eta: array<f32, H>, obs: vec2<f32>) -> array<f32, H> {{ return array<f32, H>(obs.x - eta[0]); }}
            fn fisher(eta: array<f32, H>, trials: f32) -> array<f32, HH> {{ return array<f32, HH>(1.0); }}"
        );
        let model = ModelSource::User {
            body: WgslBody {
                file: "own.wgsl".into(),
                text,
            },
            outputs: 1,
            linear: 1,
        };
        link("custom/calls.wgsl", &Consts::new(), Some(&model)).unwrap()
    }

    fn loops(block: &Block) -> Vec<&Block> {
        let mut found = Vec::new();
        for statement in block {
            match statement {
                Statement::Loop { body, .. } => {
                    found.push(body);
                    found.extend(loops(body));
                }
                Statement::Block(inner) => found.extend(loops(inner)),
                Statement::If { accept, reject, .. } => {
                    found.extend(loops(accept));
                    found.extend(loops(reject));
                }
                _ => {}
            }
        }
        found
    }

    /// Every loop of the user's starts with the counter, and no loop of the library does.
    #[test]
    fn every_loop_of_the_user_counts_and_the_module_stays_valid() {
        let helper = "struct Pair { a: f32, b: vec2<f32> }
            fn pair(n: i32) -> Pair { var p: Pair; for (var i = 0; i < n; i++) { while p.a < 3.0 { p.a += 1.0; } } return p; }
            fn whole(n: i32) -> i32 { var k = 0; loop { if k > n { return k; } k++; } return 0; }
            fn nothing() { for (var i = 0; i < 3; i++) { } }
            fn outer() -> f32 { var s = 0.0; loop { s += 1.0; continuing { loop { s += 1.0; if s > 2.0 { break; } } break if s > 9.0; } } return s; }";
        let calls =
            "nothing(); let p = pair(i32(obs.x)); return p.a + f32(whole(2)) + outer() - eta[0];";
        let linked = linked(helper, calls);
        assert!(linked.has_users_loop());
        for budget in [Budget::Call(100), Budget::Thread(100)] {
            let module = linked.guarded(budget).unwrap();
            let valid =
                Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&module);
            assert!(valid.is_ok(), "{:?}", valid.err());
            let mut counted = 0;
            for (handle, function) in module.functions.iter() {
                let users = linked.is_users(module.functions.get_span(handle));
                for body in loops(&function.body) {
                    let counts = matches!(body.first(), Some(Statement::Emit(_)))
                        && matches!(body.get(1), Some(Statement::Store { .. }));
                    assert!(counts || !users, "{:?}", function.name);
                    counted += usize::from(users);
                }
            }
            assert_eq!(counted, 5);
        }
    }

    #[test]
    fn a_text_without_loops_is_left_as_it_is() {
        let linked = linked("", "return -eta[0];");
        assert!(!linked.has_users_loop());
        let module = linked.guarded(Budget::Call(100)).unwrap();
        let before = &linked.validate().unwrap().module;
        assert_eq!(module.global_variables.len(), before.global_variables.len());
    }
}
