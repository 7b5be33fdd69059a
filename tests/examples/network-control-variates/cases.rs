//! The networks whose noise is measured.

use flate2::read::GzDecoder;
use sngd_core::plan::Plan;
use sngd_core::problem::Problem;
use sngd_core::table::Table;
use sngd_tests::{refs, small, yacht};
use std::io::Read;
use std::path::Path;

/// The first n training images of MNIST, averaged over 4 × 4 pixels; `None` where MNIST is missing.
fn mnist(n: usize) -> Option<Table> {
    let folder = refs::dataset("mnist")?;
    let read = |name: &str, skip: usize| -> Vec<u8> {
        let mut bytes = std::fs::File::open(folder.join(name)).expect("MNIST opens");
        let mut out = Vec::new();
        (GzDecoder::new(&mut bytes).read_to_end(&mut out)).expect("MNIST unpacks");
        out.split_off(skip)
    };
    let images = read("train-images-idx3-ubyte.gz", 16);
    let y = read("train-labels-idx1-ubyte.gz", 8);
    let mut columns = vec![vec![0.0; n]; 49];
    for (i, &v) in images[..n * 784].iter().enumerate() {
        let (row, column) = (i % 784 / 28, i % 28);
        columns[row / 4 * 7 + column / 4][i / 784] += f64::from(v) / (16.0 * 255.0);
    }
    let names: Vec<String> = (0..49).map(|j| format!("x{j}")).collect();
    let named = names.iter().map(String::as_str);
    let features: Vec<_> = named.zip(columns.iter().map(Vec::as_slice)).collect();
    let y: Vec<u32> = y[..n].iter().map(|&v| u32::from(v)).collect();
    Some(small::table(&features, small::labels(&y, 10)))
}

/// Problem and plan of a case; `None` if its data are missing.
pub fn case(name: &str, chains: usize, sampler: Option<&str>) -> Option<(Problem, Plan)> {
    let mut words = name.split('-');
    let kind = words.next()?;
    let numbers: Vec<usize> = words.map(|w| w.parse().expect("a number")).collect();
    let (mut config, problem, own) = match kind {
        "yacht" => {
            let case = yacht::load()?;
            let own = "step_size = 0.05; batch_size = 123; batches = 'without_replacement'; damping = 0.1";
            (case.config, case.problem, Some(own.to_string()))
        }
        "digits" => {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/digits-mlp.toml");
            let hidden = format!("model.hidden=[{}]", numbers[0]);
            let file = sngd::RunFile::read(&path, &[hidden]).expect("the example reads");
            let prepared = sngd::prepare(file.config, &file.base).expect("the example is sound");
            (prepared.config, (*prepared.problem).clone(), None)
        }
        "mnist" => {
            let (n, hidden) = (numbers[0], numbers[1]);
            let text = format!(
                "[model]\npredictor = \"mlp\"\nhidden = [{hidden}]\nlikelihood = \"softmax\"\n[prior]\nweights = \"normal_fan_in(8)\"\nbias = \"normal(0, 1)\"\n"
            );
            let (config, problem) = small::problem(&text, mnist(n)?);
            let own = "blocks = 'unit'; step_size = 0.045; batches = 'without_replacement'; fisher_rows = 600; fisher_refresh = 20; damping = 0.001; noise = 'nominal'";
            let batch = (n / 40).max(n.min(1500));
            let own = format!("{own}; batch_size = {batch}");
            (config, problem, Some(own))
        }
        _ => return None,
    };
    if let Some(text) = sampler.or(own.as_deref()) {
        config.sampler = toml::from_str(&text.replace(';', "\n")).expect("a [sampler]");
    }
    config.run.chains = Some(chains);
    let plan = Plan::check(&config, &problem).expect("a plan");
    Some((problem, plan))
}
