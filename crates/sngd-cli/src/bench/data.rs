//! The data of the timed posteriors: from the folder of references, or generated from a fixed seed.

use super::likelihood::{Likelihood, names};
use super::score::Reference;
use npyz::WriterBuilder;
use npyz::npz::NpzWriter;
use npyz::zip::CompressionMethod;
use npyz::zip::write::FileOptions;
use sngd_core::normals::fill_normals;
use sngd_core::philox::{Stream, at, uniform};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Correlation of neighbouring features.
const CORRELATION: f64 = 0.6;
const SEED: u64 = 20_261_127;

/// A table without column names.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrays {
    /// Number of feature columns, D, without the intercept.
    pub columns: usize,
    /// Features `[N,D]`.
    pub x: Vec<f64>,
    /// Labels or counts `[N]`, whole numbers.
    pub y: Vec<f64>,
    /// Exposure of each row, `[N]`; for counts only.
    pub exposure: Option<Vec<f64>>,
}

impl Arrays {
    /// Writes the arrays as an uncompressed .npz file, completely or not at all.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let part = path.with_extension("npz.part");
        self.write_to(&part)
            .and_then(|()| std::fs::rename(&part, path))
            .map_err(|e| {
                anyhow::anyhow!(
                    "{} cannot be written ({e}); choose another folder with --dir",
                    path.display()
                )
            })
    }

    fn write_to(&self, path: &Path) -> std::io::Result<()> {
        let mut file = NpzWriter::create(path)?;
        let options = FileOptions::default().compression_method(CompressionMethod::Stored);
        let n = self.y.len() as u64;
        let mut array = |name: &str, shape: &[u64], values: &mut dyn Iterator<Item = f64>| {
            let mut out = file
                .array(name, options)?
                .default_dtype()
                .shape(shape)
                .begin_nd()?;
            out.extend(values)?;
            out.finish()
        };
        array("x", &[n, self.columns as u64], &mut self.x.iter().copied())?;
        if let Some(exposure) = &self.exposure {
            array("exposure", &[n], &mut exposure.iter().copied())?;
        }
        let mut out = file
            .array("y", options)?
            .default_dtype()
            .shape(&[n])
            .begin_nd()?;
        out.extend(self.y.iter().map(|&y| y as i64))?;
        out.finish()
    }

    /// Removes the columns that are zero in every row, and returns their indices.
    fn drop_empty_columns(&mut self) -> Vec<usize> {
        let d = self.columns;
        let empty: Vec<usize> = (0..d)
            .filter(|&j| self.x.iter().skip(j).step_by(d).all(|&x| x == 0.0))
            .collect();
        let mut i = 0;
        self.x.retain(|_| {
            i += 1;
            !empty.contains(&((i - 1) % d))
        });
        self.columns = d - empty.len();
        empty
    }
}

/// Generates features with correlation 0.6^|i − j|, weights of alternating sign, and labels or counts from them.
pub fn made(likelihood: Likelihood, n: usize, d: usize) -> Arrays {
    let mut x = vec![0.0f64; n * d];
    let own = (1.0 - CORRELATION * CORRELATION).sqrt();
    for (i, row) in x.chunks_mut(d).enumerate() {
        fill_normals(row, SEED, Stream::Init, i as u32, 0);
        for j in 1..d {
            row[j] = CORRELATION * row[j - 1] + own * row[j];
        }
    }
    let poisson = likelihood == Likelihood::Poisson;
    let size = if poisson { 0.5 } else { 1.5 } / (d as f64).sqrt();
    let eta = |row: &[f64]| -> f64 {
        let sum = row.iter().enumerate().map(|(j, x)| {
            let sign = if j % 2 == 0 { 1.0 } else { -1.0 };
            sign * size * (1.0 + (j % 5) as f64) / 3.0 * x
        });
        sum.sum::<f64>() - 0.5
    };
    // Exposures between 1/2 and 4, uniform in their logarithm.
    let exposure = poisson.then(|| {
        (0..n)
            .map(|i| 0.5 * 8f64.powf(uniform(at(SEED, Stream::Batch, i as u32, 0, 0)[0])))
            .collect::<Vec<f64>>()
    });
    let y = x
        .chunks(d)
        .enumerate()
        .map(|(i, row)| {
            let u = uniform(at(SEED, Stream::Label, i as u32, 0, 0)[0]);
            match &exposure {
                Some(exposure) => count(u, exposure[i] * eta(row).exp()),
                None => f64::from(u8::from(u < 1.0 / (1.0 + (-eta(row)).exp()))),
            }
        })
        .collect();
    Arrays {
        columns: d,
        x,
        y,
        exposure,
    }
}

/// The Poisson count at which the distribution function passes u.
fn count(u: f64, rate: f64) -> f64 {
    let (mut k, mut p) = (0.0, (-rate).exp());
    let mut below = p;
    while u > below && k < 1000.0 {
        k += 1.0;
        p *= rate / k;
        below += p;
    }
    k
}

/// Data and reference from the folder that `SNGD_REFS` names.
pub fn from_refs(name: &str, folder: &str) -> anyhow::Result<(Arrays, Reference)> {
    let Some(refs) = std::env::var_os("SNGD_REFS").map(PathBuf::from) else {
        anyhow::bail!(
            "{name}: SNGD_REFS is not set, expected it to name the folder of the reference posteriors (with {folder} inside); or choose logistic_5k, logistic_1m or poisson_1m, which are made on the spot"
        );
    };
    let at = refs.join(folder);
    if !at.is_dir() {
        anyhow::bail!(
            "{name}: found no folder {}, expected the reference there; SNGD_REFS must name the folder of the reference posteriors",
            at.display()
        );
    }
    let sets = std::env::var_os("SNGD_DATASETS")
        .map_or_else(|| refs.join("..").join("datasets"), PathBuf::from);
    let (likelihood, mut arrays) = match name {
        "a9a" => (Likelihood::Bernoulli, a9a(&sets.join("a9a"))?),
        "digits_softmax" => (Likelihood::Softmax, digits(&sets.join("digits"))?),
        _ => (Likelihood::Bernoulli, design(&at.join("design.csv"))?),
    };
    let exact = at.join("reference_exact.json");
    let file = if exact.is_file() {
        exact
    } else {
        at.join("reference_hmc.json")
    };
    let json: serde_json::Value = serde_json::from_slice(&read(&file)?)?;
    let width = arrays.columns + 1;
    // A column of zeros carries no information: its weight keeps its prior, and a run refuses it.
    let empty = arrays.drop_empty_columns();
    let kept = |key: &str| -> Vec<f64> {
        json[key].as_array().map_or_else(Vec::new, |all| {
            all.iter()
                .enumerate()
                .filter(|(i, _)| i % width == 0 || !empty.contains(&(i % width - 1)))
                .filter_map(|(_, v)| v.as_f64())
                .collect()
        })
    };
    let reference = Reference {
        names: names(likelihood, arrays.columns, &arrays.y),
        mean: kept("mean"),
        sd: kept("sd"),
    };
    if reference.mean.len() != reference.names.len() || reference.sd.len() != reference.names.len()
    {
        anyhow::bail!(
            "{}: found {} means and {} sds, expected {} of the data's columns",
            file.display(),
            reference.mean.len(),
            reference.sd.len(),
            reference.names.len()
        );
    }
    Ok((arrays, reference))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| {
        anyhow::anyhow!(
            "{} cannot be read ({e}); SNGD_REFS and SNGD_DATASETS name the folders of references and data sets",
            path.display()
        )
    })
}

/// Reads a table of `y`, the constant 1, and the features.
fn design(path: &Path) -> anyhow::Result<Arrays> {
    let text = String::from_utf8(read(path)?)?;
    let mut arrays = Arrays {
        columns: text
            .lines()
            .next()
            .map_or(0, |h| h.split(',').count().saturating_sub(2)),
        x: Vec::new(),
        y: Vec::new(),
        exposure: None,
    };
    for (i, line) in text.lines().enumerate().skip(1) {
        let row = line
            .split(',')
            .map(|v| v.trim().parse::<f64>())
            .collect::<Result<Vec<f64>, _>>()?;
        if row.len() != arrays.columns + 2 || row[1] != 1.0 {
            anyhow::bail!(
                "{}: line {} is not y, 1 and {} features",
                path.display(),
                i + 1,
                arrays.columns
            );
        }
        arrays.y.push(row[0]);
        arrays.x.extend_from_slice(&row[2..]);
    }
    Ok(arrays)
}

/// Reads UCI Adult in Platt's 123 binary features.
fn a9a(folder: &Path) -> anyhow::Result<Arrays> {
    let inflate = |file: &str| -> anyhow::Result<Vec<u8>> {
        let bytes = read(&folder.join(file))?;
        let mut out = Vec::new();
        flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut out)?;
        Ok(out)
    };
    Ok(Arrays {
        columns: 123,
        x: inflate("X_train_u8_32561x123.bin.gz")?
            .iter()
            .map(|&b| f64::from(b))
            .collect(),
        y: inflate("y_train_i8.bin.gz")?
            .iter()
            .map(|&b| f64::from(u8::from(b == 1)))
            .collect(),
        exposure: None,
    })
}

/// Reads the first 1500 handwritten digits, pixels in sixteenths.
fn digits(folder: &Path) -> anyhow::Result<Arrays> {
    const ROWS: usize = 1500;
    let bytes = |file: &str| -> anyhow::Result<Vec<u8>> {
        let all = read(&folder.join(file))?;
        Ok(npyz::NpyFile::new(&all[..])?.into_vec()?)
    };
    let (x, y) = (bytes("X_u8.npy")?, bytes("y_u8.npy")?);
    Ok(Arrays {
        columns: 64,
        x: x.iter()
            .take(ROWS * 64)
            .map(|&b| f64::from(b) / 16.0)
            .collect(),
        y: y.iter().take(ROWS).map(|&b| f64::from(b)).collect(),
        exposure: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_data_are_correlated_and_of_their_kind() {
        let n = 4000;
        let a = made(Likelihood::Poisson, n, 5);
        assert_eq!(a, made(Likelihood::Poisson, n, 5));
        let mean = |f: &dyn Fn(&[f64]) -> f64| a.x.chunks(5).map(f).sum::<f64>() / n as f64;
        // Monte Carlo errors: 0.016 · √(1 + 0.36) of a correlation of 0.6, four of them.
        assert!((mean(&|r| r[1] * r[2]) - 0.6).abs() < 0.075);
        assert!((mean(&|r| r[1] * r[3]) - 0.36).abs() < 0.07);
        assert!(a.y.iter().all(|&y| y >= 0.0 && y.fract() == 0.0));
        assert!(a.y.iter().any(|&y| y > 2.0));
        let e = a.exposure.unwrap();
        assert!(e.iter().all(|&e| (0.5..4.0).contains(&e)));
        let b = made(Likelihood::Bernoulli, n, 5);
        assert!(b.y.iter().all(|&y| y == 0.0 || y == 1.0) && b.exposure.is_none());
    }

    #[test]
    fn counts_pass_the_distribution_function() {
        let below = |k: i32| {
            (0..=k)
                .map(|k| 2f64.powi(k) / f64::from((1..=k).product::<i32>()))
                .sum::<f64>()
                * (-2f64).exp()
        };
        for k in 0..6 {
            assert_eq!(count(below(k) - 1e-9, 2.0), f64::from(k));
            assert_eq!(count(below(k) + 1e-9, 2.0), f64::from(k + 1));
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.npz");
        let mut a = Arrays {
            columns: 3,
            x: vec![1.0, 0.0, 2.0, 3.0, 0.0, 4.0],
            y: vec![1.0, 0.0],
            exposure: Some(vec![0.5, 2.0]),
        };
        assert_eq!(a.drop_empty_columns(), [1]);
        assert_eq!((a.columns, &a.x[..]), (2, &[1.0, 2.0, 3.0, 4.0][..]));
        a.write(&path).unwrap();
        let mut file = npyz::npz::NpzArchive::open(&path).unwrap();
        let x = file.by_name("x").unwrap().unwrap();
        assert_eq!(x.header().shape(), [2, 2]);
        assert_eq!(x.into_vec::<f64>().unwrap(), a.x);
        let y = file.by_name("y").unwrap().unwrap();
        assert_eq!(y.into_vec::<i64>().unwrap(), [1, 0]);
        let e = file.by_name("exposure").unwrap().unwrap();
        assert_eq!(e.into_vec::<f64>().unwrap(), [0.5, 2.0]);
        assert!(!dir.path().join("t.npz.part").exists());
    }
}
