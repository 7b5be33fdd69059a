//! Philox, normals and batch rows on the device, compared with core.

use crate::common::gpu;
use sngd_core::batch::{BatchRows, Batches};
use sngd_core::philox::{Stream, at, key, normals_f32, normals_f64, philox, uniform};
use sngd_shaders::Consts;
use statrs::distribution::{ContinuousCDF, Normal};

#[test]
fn philox_has_the_bits_of_core() {
    let Some(gpu) = gpu() else { return };
    let mut addresses: Vec<[u32; 6]> = vec![
        [0; 6],
        [u32::MAX; 6],
        [
            0x243f_6a88,
            0x85a3_08d3,
            0x1319_8a2e,
            0x0370_7344,
            0xa409_3822,
            0x299f_31d0,
        ],
    ];
    addresses.extend((0..100_000u32).map(|i| {
        let [a, b, c, d] = at(3, Stream::Init, 1, 2, i);
        [a, b, c, d, i, c.rotate_left(9)]
    }));
    let n = addresses.len();
    let flat = addresses.as_flattened();
    let out: Vec<u32> = gpu.run(include_str!("../wgsl/philox.wgsl"), None, n, flat, 4 * n);
    let known = [
        [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
        [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
        [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
    ];
    assert_eq!(&out[..12], known.as_flattened());
    for (a, found) in addresses.iter().zip(out.chunks(4)) {
        assert_eq!(found, philox([a[0], a[1], a[2], a[3]], [a[4], a[5]]));
    }
}

#[test]
fn streams_have_the_numbers_of_core() {
    let root = "#import \"lib/philox.wgsl\"\n";
    let text = sngd_shaders::link_text("root.wgsl", root, &Consts::new(), None)
        .unwrap()
        .wgsl;
    for (name, stream) in [
        ("BATCH", Stream::Batch),
        ("NOISE", Stream::Noise),
        ("PROBE", Stream::Probe),
        ("LABEL", Stream::Label),
        ("INIT", Stream::Init),
        ("FISHER_ROWS", Stream::FisherRows),
        ("ACCEPT", Stream::Accept),
        ("SPLIT", Stream::Split),
        ("PRIOR_NOISE", Stream::PriorNoise),
        ("INFLUENCE", Stream::Influence),
    ] {
        let line = format!("const STREAM_{name}: u32 = {}u;\n", stream as u32);
        assert!(text.contains(&line), "{line}");
    }
}

/// Normals from `bits` on the device, `[n,4]`, and the uniforms from the first words, `[n]`.
fn device_normals(bits: &[[u32; 4]]) -> Option<(Vec<[f32; 4]>, Vec<f32>)> {
    let n = bits.len();
    let wgsl = include_str!("../wgsl/normals.wgsl");
    let out: Vec<f32> = gpu()?.run(wgsl, None, n, bits.as_flattened(), 5 * n);
    let rows = out.chunks(5);
    Some((
        rows.clone().map(|r| [r[0], r[1], r[2], r[3]]).collect(),
        rows.map(|r| r[4]).collect(),
    ))
}

#[test]
fn normals_follow_f64_to_the_last_bits() {
    let edges = [
        0,
        1,
        2,
        0x1fff_ffff,
        0x2000_0000,
        0x4000_0000,
        0x4afb_0ccc,
        0x7fff_ffff,
        0x8000_0000,
        0xb504_f333,
        0xe000_0000,
        u32::MAX - 1,
        u32::MAX,
    ];
    let mut bits: Vec<[u32; 4]> = (0..250_000)
        .map(|i| at(7, Stream::Noise, 3, 11, i))
        .collect();
    for r in edges {
        bits.extend(edges.map(|a| [r, a, a, r]));
    }
    let Some((found, uniforms)) = device_normals(&bits) else {
        return;
    };
    let (mut worst, mut twin) = (0.0f64, 0.0f32);
    for ((z, bits), u) in found.iter().zip(&bits).zip(&uniforms) {
        let (truth, core) = (normals_f64(*bits), normals_f32(*bits));
        for lane in 0..4 {
            let apart = (f64::from(z[lane]) - truth[lane]).abs();
            assert!(apart < 4e-6, "{bits:x?}: {z:?}, expected {truth:?}");
            worst = worst.max(apart);
            twin = twin.max((z[lane] - core[lane]).abs());
        }
        assert!(*u > 0.0 && *u < 1.0);
        assert!((f64::from(*u) - uniform(bits[0])).abs() < 6.1e-8);
    }
    println!("normals: {worst:.1e} from f64, {twin:.1e} from core's f32");

    // A million of them: moments, tails and the whole distribution. Bounds are at least 4.5 standard errors.
    let mut z: Vec<f64> = found[..250_000]
        .as_flattened()
        .iter()
        .map(|&z| f64::from(z))
        .collect();
    let n = z.len() as f64;
    let moment = |p: i32| z.iter().map(|z| z.powi(p)).sum::<f64>() / n;
    for (p, truth, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
        let bound = 4.5 * f64::sqrt(variance / n);
        assert!((moment(p) - truth).abs() < bound, "moment {p}");
    }
    let law = Normal::new(0.0, 1.0).unwrap();
    for tail in [3.0, 4.0] {
        for side in [-1.0, 1.0] {
            let count = z.iter().filter(|&&z| z * side > tail).count() as f64;
            let expected = n * law.cdf(-tail);
            assert!((count - expected).abs() < 4.5 * expected.sqrt());
        }
    }
    z.sort_by(f64::total_cmp);
    let distance = z.iter().enumerate().fold(0.0f64, |d, (i, &z)| {
        let f = law.cdf(z);
        d.max((f - i as f64 / n).abs())
            .max((f - (i + 1) as f64 / n).abs())
    });
    // Kolmogorov's distribution: 2.3 is its 1 − 5e-5 quantile.
    assert!(distance * n.sqrt() < 2.3, "{distance}");
}

#[test]
fn batch_rows_are_those_of_core() {
    let Some(gpu) = gpu() else { return };
    let mut input: Vec<[u32; 8]> = Vec::new();
    let mut expected: Vec<u32> = Vec::new();
    let sizes = [
        (1usize, 1usize),
        (2, 1),
        (5, 5),
        (64, 7),
        (65, 16),
        (1000, 37),
        (4096, 512),
        (1_000_003, 300),
        (u32::MAX as usize, 64),
    ];
    for (n, b) in sizes {
        for (chain, step) in [(0u32, 0u32), (3, 1), (1 << 20, 29), (7, 4_000_000_000)] {
            let seed = 0x0123_4567_89ab_cdef ^ u64::from(step);
            let [k0, k1] = key(seed);
            let mut add = |mode: u32, rows: BatchRows| {
                let mut out = vec![0; b];
                rows.fill(&mut out);
                input.extend(
                    (0..b as u32).map(|j| [mode, n as u32, b as u32, chain, step, k0, k1, j]),
                );
                expected.extend(out);
            };
            let new = |how| BatchRows::new(how, n, b, seed, chain, step);
            add(0, BatchRows::All);
            add(1, new(Batches::WithReplacement));
            add(2, new(Batches::WithoutReplacement));
            add(3, new(Batches::Epochs));
            add(4, BatchRows::fisher_rows(n, seed, chain, step));
        }
    }
    let n = expected.len();
    let wgsl = include_str!("../wgsl/batch.wgsl");
    let found: Vec<u32> = gpu.run(wgsl, None, n, input.as_flattened(), n);
    for ((i, f), e) in input.iter().zip(&found).zip(&expected) {
        assert_eq!(f, e, "{i:?}");
    }
}
