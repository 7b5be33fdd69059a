//! TEMPORARY linker until the shaders crate has its own.
use crate::spec::Value;
use sngd_core::engine::EngineError;
use sngd_core::problem::Problem;
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind { Uniform, Read, Write }
#[derive(Debug, Clone)]
pub struct Binding { pub name: String, pub binding: u32, pub kind: Kind }
pub struct Linked { pub wgsl: String }
impl Linked {
    pub fn bindings(&self, _entry: &str) -> Result<Vec<Binding>, EngineError> {
        let mut out = Vec::new();
        for l in self.wgsl.lines() {
            let Some(r) = l.strip_prefix("@group(0) @binding(") else { continue };
            let (n, r) = r.split_once(") var<").unwrap();
            let (k, r) = r.split_once("> ").unwrap();
            let name = r.split(':').next().unwrap().to_string();
            let kind = match k { "uniform" => Kind::Uniform, "storage, read" => Kind::Read, _ => Kind::Write };
            out.push(Binding { name, binding: n.parse().unwrap(), kind });
        }
        out.sort_by_key(|b| b.binding);
        Ok(out)
    }
}
fn include(path: &str, seen: &mut Vec<String>, out: &mut String) {
    if seen.iter().any(|s| s == path) { return; }
    seen.push(path.into());
    let text = std::fs::read_to_string(format!("/work/main/shaders/wgsl/{path}")).or_else(|_| std::fs::read_to_string(format!("/tmp/stub/{path}"))).expect(path);
    for l in text.lines() {
        if let Some(i) = l.strip_prefix("#import \"") { include(i.trim_end_matches('"'), seen, out); } else { out.push_str(l); out.push('\n'); }
    }
}
pub fn link(root: &str, consts: &[(&'static str, Value)], _p: &Problem) -> Result<Linked, EngineError> {
    let mut out = String::new();
    for (n, v) in consts {
        match v { Value::U(v) => out.push_str(&format!("const {n} = {v}u;\n")), Value::F(v) => out.push_str(&format!("const {n}: f32 = {v:?};\n")) }
    }
    out.push_str("const SEED = vec2<u32>(SEED0, SEED1);\n");
    let mut seen = Vec::new();
    let mut body = String::new();
    include(root, &mut seen, &mut body);
    if body.contains("fn derivative") && !seen.iter().any(|s| s == "lib/model.wgsl") { include("lib/model.wgsl", &mut seen, &mut body); }
    Ok(Linked { wgsl: out + &body })
}
