//! User-defined likelihoods on both engines: compared with quadrature over densities from other programs, with statsmodels' negative
//! binomial, the device with the CPU engine in f64, over a linear predictor and a network; and the check that names a wrong function.

use sngd::{Finding, Piece, check_likelihood, from_wgsl};
use sngd_core::config::{Config, Family};
use sngd_core::likelihood::{Custom, LikelihoodBody, Observed, WgslBody};
use sngd_core::plan::Plan;
use sngd_core::problem::Problem;
use sngd_core::table::{Response, Table};
use sngd_cpu::map;
use sngd_tests::compare::assert_moments;
use sngd_tests::drive::{self, Draws, Kind, kinds};
use sngd_tests::likelihoods::{NegativeBinomial, StudentT, custom, wgsl};
use sngd_tests::{refs, small};
use statrs::distribution::{Continuous, ContinuousCDF, Discrete};
use std::sync::Arc;

const ALL: [&str; 3] = ["negative_binomial", "student_t", "weibull"];

/// Responses and companions for one of the three likelihoods.
fn responses(name: &str, n: usize) -> (Vec<f64>, Option<Vec<f64>>) {
    let wave = |i: usize| ((i * 37 % 101) as f64 + 0.5) / 101.0;
    match name {
        "negative_binomial" => {
            let count = |i: usize| (-(1.0 - wave(i)).ln() * 4.0).floor();
            ((0..n).map(count).collect(), None)
        }
        "student_t" => {
            let value = |i: usize| 1.5 + (wave(i) / (1.0 - wave(i))).ln();
            ((0..n).map(value).collect(), None)
        }
        _ => (
            (0..n).map(|i| 0.2 + 3.0 * wave(i)).collect(),
            Some((0..n).map(|i| f64::from(u8::from(i % 4 > 0))).collect()),
        ),
    }
}

/// A problem over `d` features, and its config.
fn problem(own: Custom, n: usize, d: usize, more: &str) -> (Config, Problem) {
    let base = own.wgsl.as_ref().map_or("", |w| w.file.as_str());
    let (y, companion) = responses(base.trim_end_matches(".wgsl"), n);
    let names: Vec<String> = (0..d).map(|j| format!("x{j}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let columns: Vec<Vec<f64>> = (0..d)
        .map(|j| {
            (0..n)
                .map(|i| ((i * (13 + 8 * j) % 59) as f64 - 29.0) / 20.0)
                .collect()
        })
        .collect();
    let columns = columns.iter().map(Vec::as_slice);
    let features: Vec<(&str, &[f64])> = names.iter().copied().zip(columns).collect();
    let mut data = small::table(&features, Response::Numbers(y));
    data.trials = companion;
    with_table(own, data, more)
}

fn with_table(own: Custom, data: Table, more: &str) -> (Config, Problem) {
    let text =
        format!("[data]\npath = \"-\"\nresponse = \"y\"\n[model]\nlikelihood = \"custom\"\n{more}");
    let mut config: Config = toml::from_str(&text).expect("a run file");
    assert_eq!(config.model.likelihood, Family::Custom);
    config.model.custom = Some(Arc::new(own));
    let problem = Problem::build(&config, data).expect("the problem builds");
    (config, problem)
}

fn rows(name: &str) -> Vec<Observed<f64>> {
    let (y, companion) = responses(name, 12);
    let at = |i: usize| companion.as_ref().map_or(1.0, |c| c[i]);
    (0..y.len())
        .map(|i| Observed {
            y: y[i],
            trials: at(i),
        })
        .collect()
}

/// Mean and sd of the intercept and of the positive parameter by quadrature over a grid; `ln_p` is a density from another program.
fn quadrature(
    name: &str,
    ln_p: impl Fn(f64, f64, Observed<f64>) -> f64,
    n: usize,
) -> [(f64, f64); 2] {
    let (y, companion) = responses(name, n);
    let prior = statrs::distribution::Normal::new(0.0, 5.0).expect("a prior");
    let post = |eta: f64, s: f64| -> f64 {
        let each = |i: usize| {
            let trials = companion.as_ref().map_or(1.0, |c| c[i]);
            ln_p(eta, s, Observed { y: y[i], trials })
        };
        (0..n).map(each).sum::<f64>() + prior.ln_pdf(eta) + prior.ln_pdf(s)
    };
    let (m, (low, high), (least, most)) = (300, (-1.0, 3.0), (0.02, 6.0));
    let eta = |i: usize| low + (high - low) * (i as f64 + 0.5) / m as f64;
    let scale = |j: usize| least + (most - least) * (j as f64 + 0.5) / m as f64;
    let grid: Vec<(f64, f64, f64)> = (0..m * m)
        .map(|ij| (eta(ij / m), scale(ij % m)))
        .map(|(e, s)| (e, s, post(e, s)))
        .collect();
    let top = grid.iter().map(|g| g.2).fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = grid.iter().map(|g| (g.2 - top).exp()).sum();
    let of = |f: &dyn Fn(&(f64, f64, f64)) -> f64| -> f64 {
        grid.iter().map(|g| f(g) * (g.2 - top).exp()).sum::<f64>() / total
    };
    let moments = |f: &dyn Fn(&(f64, f64, f64)) -> f64| {
        let mean = of(f);
        (mean, of(&|g| (f(g) - mean).powi(2)).sqrt())
    };
    [moments(&|g| g.0), moments(&|g| g.1)]
}

fn density(name: &str, eta: f64, s: f64, obs: Observed<f64>) -> f64 {
    match name {
        "negative_binomial" => {
            let law = statrs::distribution::NegativeBinomial::new(s, s / (s + eta.exp()));
            law.expect("a law").ln_pmf(obs.y as u64)
        }
        "student_t" => statrs::distribution::StudentsT::new(eta, s, 4.0)
            .expect("a law")
            .ln_pdf(obs.y),
        _ => {
            let law = statrs::distribution::Weibull::new(s, eta.exp()).expect("a law");
            if obs.trials > 0.0 {
                law.ln_pdf(obs.y)
            } else {
                law.sf(obs.y).ln()
            }
        }
    }
}

#[test]
fn draws_follow_the_posterior_by_quadrature() {
    let n = 60;
    for &name in drive::some(&ALL) {
        let truth = quadrature(name, |e, s, o| density(name, e, s, o), n);
        let aux = custom(name).auxiliary.unwrap_or_default();
        // (sampler, bias in sds that the step is allowed)
        for (sampler, bias) in [
            ("method = \"mala\"\nstep_size = 0.6", 0.0),
            (
                "step_size = 0.1\nbatch_size = 45\nbatches = \"without_replacement\"",
                0.04,
            ),
        ] {
            let more = format!(
                "[prior]\nintercept = \"normal(0, 5)\"\n{aux} = \"half_normal(0, 5)\"\n[sampler]\n{sampler}\n[run]\nchains = 48\nwarmup = 300\ndraws = 2000\ninit_scale = 1.0\n"
            );
            for kind in kinds() {
                let (config, problem) = problem(custom(name), n, 0, &more);
                let d = drive::sample(kind, &config, &problem).expect("an engine");
                assert!(d.faults.is_empty(), "{name} {kind:?} {:?}", d.faults);
                for (i, (mean, sd)) in truth.iter().enumerate() {
                    let what = format!("{name}, {kind:?}, {sampler}, parameter {i}");
                    assert_moments(&what, &d.chains_of(i), *mean, *sd, bias);
                }
            }
        }
    }
}

/// The Rust body of exponential times to an event at rate e^η; the companion is 1 if the event was seen, 0 if the time was censored.
#[derive(Debug)]
struct Exponential;

impl LikelihoodBody for Exponential {
    fn log_lik(&self, eta: &[f64], obs: Observed<f64>) -> f64 {
        obs.trials * eta[0] - obs.y * eta[0].exp()
    }

    fn score(&self, eta: &[f64], obs: Observed<f64>, score: &mut [f64]) {
        score[0] = obs.trials - obs.y * eta[0].exp();
    }

    fn fisher(&self, _: &[f64], seen: f64, w: &mut [f64]) {
        w[0] = seen;
    }
}

/// A row counts whatever its companion: under a flat prior on its logarithm the rate is Gamma(events, total time).
#[test]
fn rows_with_a_companion_of_zero_count() {
    let n = 60;
    let own = Custom {
        name: "exponential".into(),
        linear_outputs: 1,
        auxiliary: None,
        body: Arc::new(Exponential),
        wgsl: None,
    };
    let more = "[prior]\nintercept = \"flat\"\n[sampler]\nmethod = \"mala\"\nstep_size = 0.6\n[run]\nchains = 48\nwarmup = 300\ndraws = 2000\n";
    let (config, problem) = problem(own, n, 0, more);
    let (y, seen) = responses("weibull", n);
    let (time, events): (f64, f64) = (y.iter().sum(), seen.expect("companions").iter().sum());
    for kind in [Kind::Cpu32, Kind::Cpu64] {
        let d = drive::sample(kind, &config, &problem).expect("an engine");
        let chains = d.chains_of(0);
        let rate: Vec<Vec<f64>> = (chains.iter())
            .map(|c| c.iter().map(|eta| eta.exp()).collect())
            .collect();
        let (mean, sd) = (events / time, events.sqrt() / time);
        assert_moments(&format!("exponential, {kind:?}"), &rate, mean, sd, 0.0);
    }
}

/// Steps of the CPU engine in f64 with the Rust body, compared with the same engine on the WGSL text and with the device in f32.
#[test]
fn engines_and_bodies_take_the_same_steps() {
    for name in ALL {
        let labels = if name == "student_t" {
            "fisher = \"monte_carlo\"\n"
        } else {
            ""
        };
        for (model, sampler) in [
            ("", "target = \"jeffreys\"\nnoise = \"full\"\n"),
            (
                "",
                "fisher = \"empirical\"\nnoise = \"full\"\ndamping = 0.1\n",
            ),
            ("", labels),
            (
                "predictor = \"mlp\"\nhidden = [3]\n",
                "damping = 0.1\nnoise = \"full\"\n",
            ),
        ] {
            let run = "[run]\nchains = 3\nwarmup = 0\ndraws = 12\ninit_scale = 1.0\n";
            let intercept = if model.is_empty() {
                "intercept = \"normal(0, 5)\"\n"
            } else {
                ""
            };
            let more = format!(
                "{model}[prior]\nweights = \"normal(0, 2)\"\n{intercept}[sampler]\nstep_size = 0.1\nbatch_size = 60\n{sampler}{run}"
            );
            let steps = |kind: Kind, own: Custom| -> Option<Vec<f64>> {
                let (config, problem) = problem(own, 80, 2, &more);
                let plan = Plan::check(&config, &problem).expect("the plan is sound");
                let init: Vec<f64> = match &problem.network {
                    Some(net) => (0..3)
                        .flat_map(|c| {
                            let mut omega = vec![0.0; plan.p];
                            net.start(&mut omega, 1, c);
                            omega
                        })
                        .collect(),
                    None => {
                        let mode = map::find(&problem, &plan).expect("a mode");
                        drive::dispersed(&plan, &mode, 1.0)
                    }
                };
                let mut engine = drive::engine(kind, &problem, &plan, &init).expect("loads")?;
                let d = Draws::of(engine.as_mut(), &problem, &plan).expect("runs");
                assert!(d.faults.is_empty(), "{name} {sampler} {:?}", d.faults);
                Some(d.internal)
            };
            let oracle = steps(Kind::Cpu64, custom(name)).expect("the CPU");
            let text = from_wgsl(wgsl(name), 1, custom(name).auxiliary).expect("a body");
            let evaluated = steps(Kind::Cpu64, text).expect("the CPU");
            let far = |a: &[f64], b: &[f64]| -> f64 {
                a.iter()
                    .zip(b)
                    .map(|(a, b)| (a - b).abs() / (1.0 + b.abs()))
                    .fold(0.0, f64::max)
            };
            // The text's constants are f32; drawn labels differ where the CPU side draws its uniforms differently.
            if labels.is_empty() || sampler != labels {
                let apart = far(&evaluated, &oracle);
                assert!(apart < 1e-4, "{name}, {model}{sampler}: {apart:e} apart");
            }
            if drive::gpu().is_some() {
                let device = steps(Kind::Gpu, custom(name)).expect("the device");
                let apart = far(&device, &oracle);
                assert!(apart < 2e-3, "{name}, {model}{sampler}: {apart:e} apart");
            }
        }
    }
}

/// Mode and information of 20,190 counts, compared with statsmodels' maximum likelihood fit.
#[test]
fn negative_binomial_meets_statsmodels() {
    let Some(folder) = refs::folder("mle/randhie_negbin2") else {
        refs::skip("randhie_negbin2");
        return;
    };
    let (table, constant) = refs::design(&folder.join("../randhie_poisson/design.csv"), false);
    assert!(constant.is_some(), "the design has its ones");
    let text = std::fs::read_to_string(folder.join("mle.json")).expect("the fit");
    let fit: serde_json::Value = serde_json::from_str(&text).expect("json");
    let numbers = |key: &str| -> Vec<f64> {
        let list = fit[key]
            .as_array()
            .unwrap_or_else(|| panic!("{key}: {fit}"));
        list.iter().map(|v| v.as_f64().expect("a number")).collect()
    };
    let truth = numbers("mle");
    let more =
        "[prior]\nintercept = \"flat\"\nweights = \"flat\"\nsize = \"flat\"\n[run]\nchains = 1\n";
    let (config, problem) = with_table(custom("negative_binomial"), table, more);
    let plan = Plan::check(&config, &problem).expect("the plan is sound");
    let mode = map::find(&problem, &plan).expect("the mode");
    let mut theta = vec![0.0; plan.p];
    problem.report(&mode.omega, &mut theta);
    // The mode is of the density over (β, ln φ), flat in φ: one in 20,190 rows of ln φ apart from the fit.
    let constant = constant.unwrap_or(0);
    for (i, expected) in truth.iter().enumerate() {
        let own = match i {
            i if i + 1 == truth.len() => 1.0 / theta[plan.p - 1],
            i if i == constant => theta[0],
            i if i < constant => theta[i + 1],
            i => theta[i],
        };
        assert!(
            (own - expected).abs() < 2e-3 * (1.0 + expected.abs()),
            "parameter {i}: {own}, statsmodels {expected}"
        );
    }
}

fn found(own: &Custom, name: &str) -> Vec<Finding> {
    check_likelihood(own, &rows(name)).expect("a text that validates")
}

#[test]
fn right_likelihoods_pass_and_a_stand_in_is_noted() {
    for name in ALL {
        let wrong: Vec<_> = found(&custom(name), name)
            .into_iter()
            .filter(|f| f.wrong)
            .collect();
        assert!(wrong.is_empty(), "{name}: {wrong:?}");
        let text = from_wgsl(wgsl(name), 1, custom(name).auxiliary).expect("a body");
        let found = found(&text, name);
        assert!(found.iter().all(|f| !f.wrong), "{name}: {found:?}");
    }
}

/// A W that is not E[s sᵀ] is also noted if no labels can be drawn, for any set of responses over which the density adds up to one.
#[test]
fn a_stand_in_is_noted_without_labels() {
    let text = |body: &str, w: &str| {
        let head = "fn log_lik(eta: array<f32, H>, obs: vec2<f32>) -> f32";
        let next = "fn score(eta: array<f32, H>, obs: vec2<f32>) -> array<f32, H>";
        let last = "fn fisher(eta: array<f32, H>, trials: f32) -> array<f32, HH>";
        let (log_lik, score) = body.split_once('|').expect("two pieces");
        WgslBody {
            file: "mine.wgsl".into(),
            text: format!(
                "{head} {{ return {log_lik}; }}\n{next} {{ return array<f32, H>({score}); }}\n{last} {{ return array<f32, HH>({w}); }}\n"
            ),
        }
    };
    let responses = |ys: &[f64]| -> Vec<Observed<f64>> {
        let observed = |&y| Observed { y, trials: 1.0 };
        ys.iter().map(observed).collect()
    };
    for (body, w, other, ys) in [
        (
            "obs.x * eta[0] - ln_1p(exp_of(eta[0])) | obs.x - 1.0 / (1.0 + exp_of(-eta[0]))",
            "1.0 / (2.0 + exp_of(-eta[0]) + exp_of(eta[0]))",
            "0.25",
            [0.0, 1.0],
        ),
        (
            "obs.x * eta[0] - exp_of(eta[0]) - ln_gamma(obs.x + 1.0) | obs.x - exp_of(eta[0])",
            "exp_of(eta[0])",
            "1.01 * exp_of(eta[0])",
            [0.0, 7.0],
        ),
        (
            "eta[0] - obs.x * exp_of(eta[0]) | 1.0 - obs.x * exp_of(eta[0])",
            "1.0",
            "1.01",
            [0.3, 7.0],
        ),
        (
            "-abs(obs.x - eta[0]) - 0.6931472 | sign(obs.x - eta[0])",
            "1.0",
            "0.99",
            [-1.0, 7.0],
        ),
        // On no known set of responses does the density add up to one, so nothing is noted.
        (
            "-abs(obs.x - eta[0]) | sign(obs.x - eta[0])",
            "1.0",
            "2.0",
            [-1.0, 7.0],
        ),
    ] {
        let found = |w: &str| {
            let own = from_wgsl(text(body, w), 1, None).expect("a body");
            check_likelihood(&own, &responses(&ys)).expect("a text that validates")
        };
        assert_eq!(found(w), [], "{body}");
        let noted = found(other);
        if !body.starts_with("-abs(obs.x - eta[0]) |") {
            assert_eq!(noted.len(), 1, "{body}: {noted:?}");
            assert!(noted[0].piece == Piece::Fisher && !noted[0].wrong);
            assert!(noted[0].message.contains("over all responses"), "{noted:?}");
        } else {
            assert_eq!(noted, [], "{body}");
        }
    }
}

/// Each function of a text is broken in turn: the check names that function, in either body.
#[test]
fn a_wrong_piece_is_named() {
    let broken = |name: &str, from: &str, to: &str| {
        let mut body = wgsl(name);
        assert!(body.text.contains(from), "{from}");
        body.text = body.text.replace(from, to);
        body
    };
    for (name, from, to, piece) in [
        (
            "student_t",
            "pull * r - 1.0",
            "pull * r + 1.0",
            Piece::Score,
        ),
        (
            "student_t",
            "ln_1p(r * r / NU)",
            "ln_1p(r * r)",
            Piece::Score,
        ),
        ("student_t", "0.0, 2.0 * NU", "3.0, 2.0 * NU", Piece::Fisher),
        ("student_t", "* z * sqrt", "+ z * sqrt", Piece::DrawLabel),
        (
            "student_t",
            "return eta[0];",
            "return 2.0 * eta[0] + 1.0;",
            Piece::Mean,
        ),
        ("negative_binomial", "phi * slope", "slope", Piece::Score),
        (
            "negative_binomial",
            "phi * share,",
            "-phi * share,",
            Piece::Fisher,
        ),
        ("weibull", "k * (z - obs.y)", "z - obs.y", Piece::Score),
        (
            "weibull",
            "exp_of(w);\n}",
            "exp_of(w + 1e9);\n}",
            Piece::LogLik,
        ),
    ] {
        let text = broken(name, from, to);
        // A text alone is compared with itself.
        let alone = from_wgsl(text.clone(), 1, custom(name).auxiliary).expect("valid WGSL");
        let first = found(&alone, name).into_iter().find(|f| f.wrong);
        assert_eq!(
            first.as_ref().map(|f| f.piece),
            Some(piece),
            "{from} -> {to}: {first:?}"
        );
        // A text with a correct Rust body is compared with that body.
        if ![Piece::DrawLabel, Piece::Mean].contains(&piece) {
            let mut both = custom(name);
            both.wgsl = Some(text);
            let findings = found(&both, name);
            assert!(
                findings
                    .iter()
                    .any(|f| f.wrong && f.message.contains(".wgsl")),
                "{findings:?}"
            );
        }
    }
}

/// A body whose functions other than `contract` are those of the Student-t.
#[derive(Debug)]
struct WrongContract;

impl LikelihoodBody for WrongContract {
    fn log_lik(&self, eta: &[f64], obs: Observed<f64>) -> f64 {
        StudentT.log_lik(eta, obs)
    }
    fn score(&self, eta: &[f64], obs: Observed<f64>, score: &mut [f64]) {
        StudentT.score(eta, obs, score);
    }
    fn fisher(&self, eta: &[f64], companion: f64, w: &mut [f64]) {
        StudentT.fisher(eta, companion, w);
    }
    fn contract(&self, eta: &[f64], c: f64, h: &[f64], volume: &mut [f64], divergence: &mut [f64]) {
        StudentT.contract(eta, c, h, volume, divergence);
        volume[1] *= 0.5;
    }
}

#[test]
fn a_wrong_contraction_is_named_in_either_body() {
    let mut own = custom("student_t");
    own.body = Arc::new(WrongContract);
    let first = found(&own, "student_t").into_iter().find(|f| f.wrong);
    assert_eq!(first.map(|f| f.piece), Some(Piece::Contract));
    let contract =
        "\nfn contract(eta: array<f32, H>, trials: f32, h: array<f32, HH>) -> Contraction {
        let slope = -2.0 * (NU + 1.0) / (NU + 3.0) * exp_of(-2.0 * eta[1]);
        return Contraction(array<f32, H>(0.0, slope * h[0]), array<f32, H>(slope * h[1], 0.0));
    }\n";
    let with = |text: &str| {
        let mut body = wgsl("student_t");
        body.text += text;
        from_wgsl(body, 1, Some("scale".into())).expect("valid WGSL")
    };
    let clean = found(&with(contract), "student_t");
    assert!(clean.iter().all(|f| !f.wrong), "{clean:?}");
    let wrong = found(
        &with(&contract.replace("slope * h[1]", "slope * h[2]")),
        "student_t",
    );
    assert_eq!(wrong.first().map(|f| f.piece), Some(Piece::Contract));
}

#[test]
fn errors_of_a_text_name_its_file_and_line() {
    let message = |from: &str, to: &str| {
        let mut body = wgsl("weibull");
        assert!(body.text.contains(from), "{from}");
        body.text = body.text.replace(from, to);
        let error = from_wgsl(body, 1, Some("shape".into())).expect_err("an error");
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    let m = message("exp_of(w);\n    return array", "expp(w);\n    return array");
    assert!(
        m.starts_with("weibull.wgsl:12: ") && m.contains("expp"),
        "{m}"
    );
    let m = message("fn score", "fn scores");
    assert!(m.contains("`fn score` is missing"), "{m}");
    let m = message("return obs.y * (eta[1]", "return textureLoad(obs, eta[1]");
    assert!(m.starts_with("weibull.wgsl:"), "{m}");
    let none = Custom {
        wgsl: None,
        ..custom("weibull")
    };
    assert!(found(&none, "weibull").iter().all(|f| !f.wrong));
    // A body without `draw_label` cannot use drawn labels, and an empty text is no body.
    let (mut config, problem) = problem(
        Custom {
            body: Arc::new(NegativeBinomial),
            ..custom("negative_binomial")
        },
        40,
        0,
        "[prior]\nintercept = \"normal(0, 5)\"\n",
    );
    config.sampler.fisher = sngd_core::config::FisherKind::MonteCarlo;
    let refused = Plan::check(&config, &problem).expect_err("no labels");
    assert!(refused.to_string().contains("draw_label"), "{refused}");
    let text = WgslBody {
        file: "empty.wgsl".into(),
        text: String::new(),
    };
    assert!(from_wgsl(text, 1, None).is_err());
}
