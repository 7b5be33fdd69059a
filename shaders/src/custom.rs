//! Makes a likelihood that is written only in WGSL usable on the CPU side and in the CPU engine.

use crate::evaluate::{Stopped, Value, call};
use crate::model::STAND_INS;
use crate::{CONTRACT, Consts, LinkError, Linked, ModelSource, link, link_text};
use naga::{Function, Handle, Module};
use sngd_core::likelihood::{LikelihoodBody, Observed, WgslBody, difference};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// A likelihood's WGSL functions, evaluated from naga's expressions in f64. A call that cannot be evaluated gives NaN, and
/// [`LikelihoodBody::stopped`] says why; [`Interpreted::new`] has tried each function once.
#[derive(Debug)]
pub struct Interpreted {
    text: WgslBody,
    linked: Linked,
    module: Module,
    /// The first reason why a call was not evaluated, since it was last asked for.
    stopped: Mutex<Option<Stopped>>,
    is_stopped: AtomicBool,
    log_lik: Handle<Function>,
    score: Handle<Function>,
    fisher: Handle<Function>,
    contract: Option<Handle<Function>>,
    draw_label: Option<Handle<Function>>,
    mean: Option<Handle<Function>>,
    cdf: Option<Handle<Function>>,
}

impl Interpreted {
    /// Reads a text with H `outputs`, of which `linear` are linear predictors.
    ///
    /// # Errors
    /// A text that does not validate, by its file and line; functions that are missing or have another declaration; WGSL that
    /// the CPU side cannot evaluate.
    pub fn new(body: &WgslBody, outputs: usize, linear: usize) -> Result<Interpreted, LinkError> {
        let model = ModelSource::User {
            body: body.clone(),
            outputs: outputs as u32,
            linear: linear as u32,
        };
        declared_alike(body, (outputs as u32, linear as u32))?;
        let linked = link("custom/calls.wgsl", &Consts::new(), Some(&model))?;
        let module = linked.validate()?.module.clone();
        let find = |name: &str| {
            let named = |f: &Function| f.name.as_deref() == Some(name);
            let found = module.functions.iter().find(|(_, f)| named(f));
            found.map(|(handle, _)| handle)
        };
        let own = |name: &str| body.has(name).then(|| find(name)).flatten();
        let (Some(log_lik), Some(score), Some(fisher)) =
            (find("log_lik"), find("score"), find("fisher"))
        else {
            let missing = Stopped::from("one of log_lik, score and fisher missing");
            return Err(wrong(body, &linked, &missing));
        };
        let out = Interpreted {
            text: body.clone(),
            log_lik,
            score,
            fisher,
            contract: own("contract"),
            draw_label: own("draw_label"),
            mean: own("mean"),
            cdf: own("cdf"),
            stopped: Mutex::new(None),
            is_stopped: AtomicBool::new(false),
            linked,
            module,
        };
        out.try_all(outputs)
            .map_err(|e| wrong(body, &out.linked, &e))?;
        Ok(out)
    }

    /// Calls a function; `None` where it cannot be evaluated, and from then on until somebody asks why: what is slow to stop
    /// must not be stopped for each row again.
    fn call(&self, function: Handle<Function>, arguments: Vec<Value>) -> Option<Value> {
        if self.is_stopped.load(Ordering::Relaxed) {
            return None;
        }
        match call(&self.module, function, arguments) {
            Ok(value) => Some(value),
            Err(stopped) => {
                let mut first = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert(stopped);
                self.is_stopped.store(true, Ordering::Relaxed);
                None
            }
        }
    }

    fn try_all(&self, outputs: usize) -> Result<(), Stopped> {
        let eta = vec![0.0; outputs];
        let obs = Observed {
            y: 1.0,
            trials: 1.0,
        };
        let row = || vec![Value::floats(&eta), observed(obs)];
        let at = || vec![Value::floats(&eta), Value::Float(1.0)];
        call(&self.module, self.log_lik, row())?;
        call(&self.module, self.score, row())?;
        let w = call(&self.module, self.fisher, at())?;
        if let Some(f) = self.contract {
            let mut arguments = at();
            arguments.push(w);
            call(&self.module, f, arguments)?;
        }
        if let Some(f) = self.mean {
            call(&self.module, f, at())?;
        }
        if let Some(f) = self.cdf {
            call(&self.module, f, row())?;
        }
        if let Some(f) = self.draw_label {
            call(&self.module, f, label(&eta, 1.0, 0.5, 0.3, [1, 2, 3, 4]))?;
        }
        Ok(())
    }
}

/// Refuses a function whose declaration differs from the contract, and reports the line of that function. Validation alone
/// would report the line of a caller. Here there is no caller, since empty functions replace those that the text omits.
fn declared_alike(body: &WgslBody, (outputs, linear): (u32, u32)) -> Result<(), LinkError> {
    let mut body = body.clone();
    let mut root = String::from("#import <model>\n");
    for (name, declaration) in CONTRACT {
        let result = declaration.rsplit("-> ").next().unwrap_or_default();
        let empty = format!("{declaration} {{ return {result}(); }}\n");
        if STAND_INS.iter().any(|(n, _)| *n == name) && !body.has(name) {
            body.text += &format!("\n{empty}");
        }
        root += &empty.replacen("fn ", "fn declared_", 1);
    }
    let model = ModelSource::User {
        body,
        outputs,
        linear,
    };
    let linked = link_text("declared", &root, &Consts::new(), Some(&model))?;
    let Ok(module) = linked.parse() else {
        return Ok(()); // validation reports what does not parse
    };
    let find = |name: &str| {
        let mut all = module.functions.iter();
        all.find(|(_, f)| f.name.as_deref() == Some(name))
    };
    let types = |f: &Function| {
        let arguments: Vec<_> = f.arguments.iter().map(|a| a.ty).collect();
        (arguments, f.result.as_ref().map(|r| r.ty))
    };
    for (name, declaration) in CONTRACT {
        let (Some((handle, own)), Some((_, declared))) =
            (find(name), find(&format!("declared_{name}")))
        else {
            continue;
        };
        if types(own) != types(declared) {
            let span = module.functions.get_span(handle);
            let (file, line) = linked.locate(span.location(&linked.wgsl).line_number);
            return Err(LinkError::Wgsl {
                file: file.to_string(),
                line,
                message: format!("found {name} with another declaration, expected {declaration}"),
            });
        }
    }
    Ok(())
}

fn wrong(body: &WgslBody, linked: &Linked, stopped: &Stopped) -> LinkError {
    let line = |at: naga::Span| at.location(&linked.wgsl).line_number;
    let place = stopped.at.map(|at| linked.locate(line(at)));
    let (file, line) = place.unwrap_or((&body.file, 1));
    LinkError::Unevaluable {
        file: file.into(),
        line,
        what: stopped.what.clone(),
    }
}

/// Arguments of `draw_label`.
fn label(eta: &[f64], companion: f64, u: f64, z: f64, address: [u32; 4]) -> Vec<Value> {
    vec![
        Value::floats(eta),
        Value::Float(companion),
        Value::Float(u),
        Value::Float(z),
        Value::List(address.map(Value::Uint).to_vec()),
        Value::List(vec![Value::Uint(0), Value::Uint(0)]),
    ]
}

fn observed(obs: Observed<f64>) -> Value {
    Value::floats(&[obs.y, obs.trials])
}

impl LikelihoodBody for Interpreted {
    fn log_lik(&self, eta: &[f64], obs: Observed<f64>) -> f64 {
        let arguments = vec![Value::floats(eta), observed(obs)];
        self.call(self.log_lik, arguments)
            .map_or(f64::NAN, |v| v.float())
    }

    fn score(&self, eta: &[f64], obs: Observed<f64>, score: &mut [f64]) {
        let arguments = vec![Value::floats(eta), observed(obs)];
        match self.call(self.score, arguments) {
            Some(value) => value.write(score),
            None => score.fill(f64::NAN),
        }
    }

    fn fisher(&self, eta: &[f64], companion: f64, w: &mut [f64]) {
        let arguments = vec![Value::floats(eta), Value::Float(companion)];
        match self.call(self.fisher, arguments) {
            Some(value) => value.write(w),
            None => w.fill(f64::NAN),
        }
    }

    fn contract(
        &self,
        eta: &[f64],
        companion: f64,
        h: &[f64],
        volume: &mut [f64],
        divergence: &mut [f64],
    ) {
        let Some(own) = self.contract else {
            let fisher = |e: &[f64], w: &mut [f64]| self.fisher(e, companion, w);
            return difference(fisher, eta, h, volume, divergence);
        };
        let arguments = vec![
            Value::floats(eta),
            Value::Float(companion),
            Value::floats(h),
        ];
        match self.call(own, arguments) {
            Some(Value::List(parts)) if parts.len() == 2 => {
                parts[0].write(volume);
                parts[1].write(divergence);
            }
            _ => {
                volume.fill(f64::NAN);
                divergence.fill(f64::NAN);
            }
        }
    }

    fn draw_label(
        &self,
        eta: &[f64],
        companion: f64,
        u: f64,
        z: f64,
        more: &mut dyn FnMut() -> f64,
    ) -> Option<f64> {
        // In WGSL further uniforms come from an address. Here any fresh address is enough.
        let address = [(); 4].map(|()| (more() * 4_294_967_296.0) as u32);
        let arguments = label(eta, companion, u, z, address);
        let drawn = self.call(self.draw_label?, arguments);
        Some(drawn.map_or(f64::NAN, |v| v.float()))
    }

    fn evaluates(&self, text: &WgslBody) -> bool {
        self.text == *text
    }

    fn mean(&self, eta: &[f64], companion: f64) -> Option<f64> {
        let arguments = vec![Value::floats(eta), Value::Float(companion)];
        let value = self.call(self.mean?, arguments);
        Some(value.map_or(f64::NAN, |v| v.float()))
    }

    fn cdf(&self, eta: &[f64], obs: Observed<f64>) -> Option<f64> {
        let arguments = vec![Value::floats(eta), observed(obs)];
        let value = self.call(self.cdf?, arguments);
        Some(value.map_or(f64::NAN, |v| v.float()))
    }

    fn stopped(&self) -> Option<String> {
        let mut first = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let stopped = first.take()?;
        self.is_stopped.store(false, Ordering::Relaxed);
        Some(wrong(&self.text, &self.linked, &stopped).to_string())
    }
}
