//! The linker: imports, slots, errors by file and line, reflection.

use bytemuck::{Pod, Zeroable};
use sngd_core::config::Storage;
use sngd_core::likelihood::{Likelihood, Link, WgslBody};
use sngd_shaders::{
    BindingKind, CONTRACT, Code, Consts, Interpreted, LinkError, Linked, ModelSource, files, link,
    link_text,
};
use std::mem::offset_of;

fn plain(wgsl: &str) -> Result<Linked, LinkError> {
    link_text("root.wgsl", wgsl, &Consts::new(), None)
}

fn told(result: Result<Linked, LinkError>) -> String {
    result.unwrap_err().to_string()
}

const USERS: &str = "\
#import \"lib/contract.wgsl\"
fn log_lik(eta: array<f32, H>, obs: vec2<f32>) -> f32 { return -abs(obs.x - eta[0]); }
fn score(eta: array<f32, H>, obs: vec2<f32>) -> array<f32, H> { return array<f32, H>(sign(obs.x - eta[0])); }
fn fisher(eta: array<f32, H>, trials: f32) -> array<f32, HH> { return array<f32, HH>(1.0); }
fn contract(eta: array<f32, H>, trials: f32, h: array<f32, HH>) -> Contraction { var c: Contraction; return c; }
fn draw_label(eta: array<f32, H>, trials: f32, u: f32, z: f32, address: vec4<u32>, key: vec2<u32>) -> f32 { return eta[0] + z; }
fn mean(eta: array<f32, H>, trials: f32) -> f32 { return eta[0]; }
fn cdf(eta: array<f32, H>, obs: vec2<f32>) -> f32 { return 0.5; }
";

/// A kernel that calls each function of a model.
const ROOT: &str = include_str!("../../wgsl/custom/calls.wgsl");

/// A user's model with one output.
fn model(file: &str, text: &str) -> ModelSource {
    ModelSource::User {
        body: WgslBody {
            file: file.into(),
            text: text.into(),
        },
        outputs: 1,
        linear: 1,
    }
}

fn user(wgsl: &str) -> Result<Linked, LinkError> {
    link_text(
        "root.wgsl",
        ROOT,
        &Consts::new(),
        Some(&model("mine/laplace.wgsl", wgsl)),
    )
}

fn likelihoods() -> Vec<Likelihood> {
    let softmax = |classes, baseline| Likelihood::Softmax { classes, baseline };
    vec![
        Likelihood::Gaussian { scale: 1.3e-7 },
        Likelihood::GaussianUnknownScale,
        Likelihood::Binomial(Link::Logit),
        Likelihood::Binomial(Link::Probit),
        Likelihood::Binomial(Link::Cloglog),
        Likelihood::Poisson,
        softmax(2, true),
        softmax(5, false),
    ]
}

#[test]
fn every_library_file_is_valid_by_itself() {
    for storage in [Storage::F32, Storage::F16, Storage::Bf16] {
        let consts = Consts::new().u32("H", 2).u32("HH", 3);
        let consts = consts.u32("STORAGE", storage.code());
        for (path, _) in files().iter().filter(|(p, _)| p.starts_with("lib/")) {
            link(path, &consts, None).unwrap().validate().unwrap();
        }
    }
}

#[test]
fn every_model_is_valid_and_keeps_the_contract() {
    for likelihood in likelihoods() {
        let model = ModelSource::Builtin(likelihood);
        let linked = link_text("root.wgsl", ROOT, &Consts::new(), Some(&model)).unwrap();
        let checked = linked.validate().unwrap_or_else(|e| panic!("{e}"));
        let names: Vec<_> = checked.module.functions.iter().collect();
        for (name, _) in CONTRACT {
            assert!(names.iter().any(|(_, f)| f.name.as_deref() == Some(name)));
        }
        assert!(linked.sources().iter().any(|s| s == model.name()));
    }
}

#[test]
fn a_file_comes_once_in_the_place_of_its_first_import() {
    let linked = plain(
        "#import \"lib/normal.wgsl\"\n#import \"lib/philox.wgsl\"\n  #import \"lib/normal.wgsl\"  \nconst LAST: u32 = 1u;\n",
    )
    .unwrap();
    linked.validate().unwrap();
    assert_eq!(linked.wgsl.matches("fn philox(").count(), 1);
    assert_eq!(
        linked.sources(),
        [
            "root.wgsl",
            "lib/normal.wgsl",
            "lib/philox.wgsl",
            "<consts>",
            "lib/elementary.wgsl"
        ]
    );
    let last = linked.wgsl.lines().count() as u32;
    assert_eq!(linked.locate(last), ("root.wgsl", 4));
    assert_eq!(linked.locate(1), ("lib/normal.wgsl", 1));
}

#[test]
fn every_line_is_found_again_in_its_file() {
    let linked = user(USERS).unwrap();
    for (i, line) in linked.wgsl.lines().enumerate() {
        let (file, number) = linked.locate(i as u32 + 1);
        let text = match file {
            "root.wgsl" => ROOT,
            "mine/laplace.wgsl" => USERS,
            "<consts>" => continue,
            embedded => files().iter().find(|(p, _)| *p == embedded).unwrap().1,
        };
        assert_eq!(text.lines().nth(number as usize - 1), Some(line));
    }
}

#[test]
fn wrong_imports_are_told_by_file_and_line() {
    assert_eq!(
        told(plain("\n#import \"lib/filox.wgsl\"\n")),
        "root.wgsl:2: \"lib/filox.wgsl\" is imported but there is no such file"
    );
    assert_eq!(
        told(plain("#ifdef X")),
        "root.wgsl:1: found `#ifdef X`, expected #import \"path.wgsl\", #import <model> or #import <consts>"
    );
    assert_eq!(
        told(plain("#import <model>")),
        "root.wgsl:1: <model> is imported, but this kernel was linked without a model"
    );
    assert_eq!(
        told(link("state/kernel/no.wgsl", &Consts::new(), None)),
        "\"state/kernel/no.wgsl\" is not one of the shader files"
    );
}

#[test]
fn a_circle_is_told_by_its_files() {
    let model = model("mine/circle.wgsl", "\n#import <model>\n");
    let sizes = Consts::new().u32("H", 1).u32("K", 1);
    assert_eq!(
        told(link_text("root.wgsl", ROOT, &Consts::new(), Some(&model))),
        "mine/circle.wgsl:2: imports run in a circle: mine/circle.wgsl -> mine/circle.wgsl"
    );
    assert_eq!(
        told(link_text(
            "lib/contract.wgsl",
            "#import \"model/poisson.wgsl\"",
            &sizes,
            None
        )),
        "model/poisson.wgsl:2: imports run in a circle: lib/contract.wgsl -> model/poisson.wgsl -> lib/contract.wgsl"
    );
}

#[test]
fn constants_keep_their_bits_and_come_once() {
    let tiny = 1.170_000_1e-7_f32;
    let consts = Consts::new().u32("N", 7).f32("TINY", tiny).bool("ON", true);
    let root = "#import <consts>\n@group(0) @binding(0) var<storage, read_write> o: array<f32>;\n\
        @compute @workgroup_size(N) fn main() { if ON { o[0] = TINY; } }";
    let linked = link_text("root.wgsl", root, &consts, None).unwrap();
    let module = &linked.validate().unwrap().module;
    let (_, c) = module
        .constants
        .iter()
        .find(|(_, c)| c.name.as_deref() == Some("TINY"))
        .unwrap();
    assert!(matches!(
        module.global_expressions[c.init],
        naga::Expression::Literal(naga::Literal::F32(v)) if v.to_bits() == tiny.to_bits()
    ));
    assert_eq!(linked.workgroup_size("main").unwrap(), [7, 1, 1]);

    let with = |c: &Consts| told(link_text("root.wgsl", ROOT, c, None));
    assert_eq!(
        with(&Consts::new().u32("N", 1).u32("N", 2)),
        "const N is given twice: as u32 = 1u and as u32 = 2u"
    );
    assert_eq!(
        with(&Consts::new().f32("X", f32::NAN)),
        "const X is not finite: f32 = NaN"
    );
    let model = ModelSource::Builtin(Likelihood::Poisson);
    let with = |c: &Consts| link_text("root.wgsl", ROOT, c, Some(&model));
    with(&Consts::new().u32("H", 1)).unwrap();
    assert_eq!(
        told(with(&Consts::new().u32("H", 3))),
        "const H is given twice: as u32 = 3u and as u32 = 1u"
    );
}

#[test]
fn errors_in_a_users_model_name_his_file_and_line() {
    user(USERS).unwrap().validate().unwrap();
    let fails = |wgsl: &str| user(wgsl).unwrap().validate().unwrap_err().to_string();
    // Line 3: an unknown name, a wrong type, and a missing semicolon.
    let e = fails(&USERS.replace("sign(obs.x", "sine(obs.x"));
    assert_eq!(
        e,
        "mine/laplace.wgsl:3: no definition in scope for identifier: `sine`: unknown identifier"
    );
    let e = fails(&USERS.replace("return array<f32, HH>(1.0);", "return 1u;"));
    assert!(e.starts_with("mine/laplace.wgsl:4: "), "{e}");
    let e = fails(&USERS.replace("eta[0] + z; }", "eta[0] + z }"));
    assert!(e.starts_with("mine/laplace.wgsl:6: "), "{e}");
    assert!(!e.contains('\n'), "{e}");
    let e = fails(&USERS.replace("fn fisher", "fn fischer"));
    assert_eq!(
        e,
        "model mine/laplace.wgsl: `fn fisher` is missing, expected fn fisher(eta: array<f32, H>, trials: f32) -> array<f32, HH>"
    );
    // Functions that may be omitted are filled in, and a text without imports can use the library.
    let short: String = USERS
        .lines()
        .filter(|l| !l.contains("fn contract") && !l.contains("fn draw_label"))
        .map(|l| format!("{}\n", if l.starts_with('#') { "" } else { l }))
        .collect();
    let linked = user(&short).unwrap();
    linked.validate().unwrap_or_else(|e| panic!("{e}"));
    for file in ["custom/contract.wgsl", "custom/draw_label.wgsl"] {
        assert!(linked.sources().iter().any(|s| s == file), "{file}");
    }
}

/// The error names the function with the wrong declaration, not one that calls it, such as the difference of `fisher` that
/// replaces a missing `contract`.
#[test]
fn another_declaration_is_told_where_it_stands() {
    let of = |wgsl: &str| {
        let body = WgslBody {
            file: "mine/laplace.wgsl".into(),
            text: wgsl.into(),
        };
        Interpreted::new(&body, 1, 1)
    };
    of(USERS).unwrap();
    for (i, (name, declaration)) in CONTRACT.iter().enumerate() {
        let line = USERS.lines().find(|l| l.contains(declaration)).unwrap();
        let result = if *name == "contract" {
            "Contraction { var c: Contraction; return c; }"
        } else {
            "i32 { return 1; }"
        };
        for other in [
            format!("fn {name}(eta: array<f32, H>, more: f32, most: f32) -> {result}"),
            format!("fn {name}(eta: array<f32, H>) -> {result}"),
        ] {
            let mut text = USERS.replace(line, &other);
            if *name != "contract" {
                let contract = USERS.lines().find(|l| l.contains("fn contract")).unwrap();
                text = text.replace(contract, "");
            }
            assert_eq!(
                of(&text).unwrap_err().to_string(),
                format!(
                    "mine/laplace.wgsl:{}: found {name} with another declaration, expected {declaration}",
                    i + 2
                )
            );
        }
    }
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Sizes {
    n: u32,
    epsilon: f32,
    key: [u32; 2],
    counter: [u32; 4],
}

#[test]
fn reflection_sees_what_an_entry_point_uses() {
    let linked = plain(
        "struct Sizes { n: u32, epsilon: f32, key: vec2<u32>, counter: vec4<u32> }
        override LANES: u32 = 32u;
        @group(0) @binding(2) var<uniform> sizes: Sizes;
        @group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
        @group(1) @binding(1) var<storage, read_write> b: array<f32, 6>;
        @group(0) @binding(3) var<storage, read_write> c: array<atomic<u32>>;
        var<workgroup> shared_sum: f32;
        fn deep(i: u32) -> f32 { return a[i].x; }
        @compute @workgroup_size(64) fn one() { shared_sum = deep(sizes.n); b[1] = shared_sum; }
        @compute @workgroup_size(LANES, 2) fn two() { atomicAdd(&c[0], 1u); }",
    )
    .unwrap();
    assert_eq!(linked.entry_points().unwrap(), ["one", "two"]);
    let seen = |entry: &str| -> Vec<(u32, u32, String, BindingKind, u32)> {
        let bindings = linked.bindings(entry).unwrap().into_iter();
        bindings
            .map(|b| (b.group, b.binding, b.name, b.kind, b.min_size))
            .collect()
    };
    let storage = |read_only| BindingKind::Storage { read_only };
    assert_eq!(
        seen("one"),
        [
            (0, 0, "a".into(), storage(true), 16),
            (0, 2, "sizes".into(), BindingKind::Uniform, 32),
            (1, 1, "b".into(), storage(false), 24),
        ]
    );
    assert_eq!(seen("two"), [(0, 3, "c".into(), storage(false), 4)]);
    assert_eq!(linked.workgroup_size("one").unwrap(), [64, 1, 1]);
    assert_eq!(linked.workgroup_size("two").unwrap(), [32, 2, 1]);
    assert_eq!(
        linked.bindings("three").unwrap_err().to_string(),
        "root.wgsl has no entry point \"three\""
    );

    let layout = linked.struct_layout("Sizes").unwrap();
    assert_eq!(layout.size as usize, size_of::<Sizes>());
    let host = [
        ("n", offset_of!(Sizes, n)),
        ("epsilon", offset_of!(Sizes, epsilon)),
        ("key", offset_of!(Sizes, key)),
        ("counter", offset_of!(Sizes, counter)),
    ];
    let wgsl: Vec<_> = layout.fields;
    assert_eq!(
        wgsl,
        host.map(|(name, offset)| (name.to_string(), offset as u32))
    );
}

/// Codes, places of statistics and status words are constants of every module, and no other names are.
#[test]
fn a_code_that_does_not_exist_does_not_link() {
    let uses = |name: &str| {
        let root =
            format!("#import <consts>\n@compute @workgroup_size(1) fn main() {{ _ = {name}; }}");
        let linked = link_text("test.wgsl", &root, &Consts::new(), None).unwrap();
        linked.validate().map(|_| ()).map_err(|e| e.to_string())
    };
    for name in [
        "ROWS_SAMPLE",
        "STAT_LP",
        "FELL_BACK",
        "STREAM_INFLUENCE",
        "PRIOR_LAPLACE",
    ] {
        uses(name).unwrap();
    }
    for name in ["ROWS_SOME", "STAT_STEP_NORM", "FELL_FORWARD"] {
        let told = uses(name).unwrap_err();
        assert!(told.contains(name), "{told}");
    }
}
