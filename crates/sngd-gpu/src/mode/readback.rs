//! Kept draws and status on their way to the host, where they become internal coordinates in f64.

use super::run::Loop;
use super::shape::{Rows, STATUS, TOLD};
use crate::device::Gpu;
use sngd_core::engine::{EngineError, Fault, FaultKind, STATS};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// A staging buffer's mapping is asked for, there, or refused.
const WAITING: u8 = 0;
const MAPPED: u8 = 1;
const FAILED: u8 = 2;

/// A buffer that the host reads.
pub struct Staging {
    buffer: wgpu::Buffer,
    mapped: Arc<AtomicU8>,
}

impl Staging {
    /// Three of them.
    pub fn ring(gpu: &Gpu, bytes: u64) -> Vec<Staging> {
        (0..3)
            .map(|_| Staging {
                buffer: gpu.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("staging"),
                    size: bytes,
                    usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
                    mapped_at_creation: false,
                }),
                mapped: Arc::new(AtomicU8::new(WAITING)),
            })
            .collect()
    }
}

/// A copy under way.
pub struct Copy {
    /// Index of its buffer.
    pub staging: usize,
    /// Kept draws.
    pub slots: usize,
    /// Whether it ends a span.
    pub last: bool,
    /// When it is there.
    pub submission: wgpu::SubmissionIndex,
}

impl Loop {
    /// Words of kept draws.
    fn kept_words(&self, slots: usize) -> usize {
        slots * self.loaded.shape.c * self.loaded.shape.kept()
    }

    /// Copies kept draws and status into a free staging buffer and asks for its mapping.
    pub(super) fn record_copy(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        slots: usize,
    ) -> Result<usize, EngineError> {
        while self.copies.len() >= self.staging.len() {
            self.harvest(true)?;
        }
        let index = self.next_staging;
        self.next_staging = (index + 1) % self.staging.len();
        let staging = &self.staging[index];
        let kept = 4 * self.kept_words(slots) as u64;
        let status = (4 * self.loaded.shape.c * STATUS) as u64;
        let buffers = &self.loaded.buffers;
        encoder.copy_buffer_to_buffer(buffers.get("kept")?, 0, &staging.buffer, 0, kept);
        encoder.copy_buffer_to_buffer(buffers.get("status")?, 0, &staging.buffer, kept, status);
        let mapped = Arc::clone(&staging.mapped);
        mapped.store(WAITING, Ordering::Release);
        let end = kept + status;
        encoder.map_buffer_on_submit(&staging.buffer, wgpu::MapMode::Read, ..end, {
            move |r| {
                let now = if r.is_ok() { MAPPED } else { FAILED };
                mapped.store(now, Ordering::Release);
            }
        });
        Ok(index)
    }

    /// Takes in the oldest copy, if it has arrived or if `wait` says to wait for it.
    pub(super) fn harvest(&mut self, wait: bool) -> Result<(), EngineError> {
        let Some(copy) = self.copies.front() else {
            return Ok(());
        };
        let staging = &self.staging[copy.staging];
        if staging.mapped.load(Ordering::Acquire) == WAITING {
            if !wait {
                return Ok(());
            }
            self.gpu.wait(Some(copy.submission.clone()))?;
            // Engines share a device. Whoever polls first takes the callbacks of all, and may still be about to call ours.
            while staging.mapped.load(Ordering::Acquire) == WAITING {
                std::thread::sleep(Duration::from_micros(50));
                self.gpu.wait(Some(copy.submission.clone()))?;
            }
        }
        let refused = |why: String| {
            EngineError::Device(format!("a block of draws could not be read back{why}"))
        };
        if staging.mapped.load(Ordering::Acquire) == FAILED {
            return Err(refused(String::new()));
        }
        let kept = self.kept_words(copy.slots);
        let end = 4 * (kept + self.loaded.shape.c * STATUS) as u64;
        let view = staging
            .buffer
            .get_mapped_range(..end)
            .map_err(|e| refused(format!(": {e}")))?;
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(&view);
        drop(view);
        staging.buffer.unmap();
        staging.mapped.store(WAITING, Ordering::Release);
        let last = copy.last;
        self.copies.pop_front();
        let (kept, status) = words.split_at(kept);
        self.take(kept, status);
        if last {
            self.close(status);
        }
        Ok(())
    }

    /// Appends kept draws to the open block.
    fn take(&mut self, kept: &[u32], status: &[u32]) {
        let shape = &self.loaded.shape;
        let (c, p) = (shape.c, shape.p);
        let few = matches!(shape.rows, Rows::Few(_));
        let Some(span) = self.open.front().map(|block| block.span) else {
            return;
        };
        let before = self.open.front().map_or(0, |b| b.omega.len() / (c * p));
        let mut numbers = vec![0.0; 2 * p + TOLD];
        for (i, words) in kept.chunks_exact(shape.kept()).enumerate() {
            let t = span.first_step + (before + i / c) as u32 * span.thin;
            let fault = &status[i % c * STATUS..];
            let ended = (fault[0] != 0).then_some(fault[1]);
            // A chain over few rows has made no draw since it ended; one over all rows stands still.
            let lost = few && ended.is_some_and(|at| at < t);
            for (to, word) in numbers.iter_mut().zip(words) {
                *to = if lost {
                    f64::NAN
                } else {
                    f64::from(f32::from_bits(*word))
                };
            }
            let mut stats = if lost {
                [f64::NAN; STATS.len()]
            } else {
                self.stats(&numbers, t)
            };
            if !lost && ended.is_some_and(|at| at < t + span.thin) {
                stats[5] = 1.0;
            }
            let (u, more) = numbers.split_at_mut(p);
            self.loaded.expansion.to_internal(u);
            self.loaded.expansion.gradient_to_internal(&mut more[..p]);
            if let Some(block) = self.open.front_mut() {
                block.omega.extend_from_slice(u);
                block.gradient.extend_from_slice(&more[..p]);
                block.stats.extend_from_slice(&stats);
            }
        }
    }

    /// A row of `STATS` from u, ∇C in u and what the device told beside.
    fn stats(&self, numbers: &[f64], t: u32) -> [f64; STATS.len()] {
        let expansion = &self.loaded.expansion;
        let p = self.loaded.shape.p;
        let (u, more) = numbers.split_at(p);
        let (gradient, told) = more.split_at(p);
        let square = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>();
        let mut rest = told[0];
        if matches!(self.loaded.shape.rows, Rows::Few(_)) {
            let pull: f64 = u.iter().zip(&expansion.slope).map(|(u, c)| u * c).sum();
            rest -= pull;
        }
        let lp = rest - 0.5 * square(u) - expansion.cost;
        let (epsilon, spread) = self.moves(t);
        [
            if self.plan.full_batch { lp } else { f64::NAN },
            lp,
            square(gradient).sqrt(),
            spread * told[1].sqrt(),
            0.0,
            0.0,
            epsilon,
            self.plan.temperature,
            told[2],
        ]
    }

    /// Ends the open block and sends it.
    fn close(&mut self, status: &[u32]) {
        let Some(mut block) = self.open.pop_front() else {
            return;
        };
        let mut unfit = 0;
        for (chain, words) in status.chunks_exact(STATUS).enumerate() {
            unfit += u64::from(words[2]);
            if words[0] != 0 {
                block.faults.push(Fault {
                    chain: chain as u32,
                    step: words[1],
                    kind: FaultKind::Diverged,
                });
            }
        }
        block.fallbacks = unfit - self.fallbacks;
        self.fallbacks = unfit;
        let _ = self.blocks.send(Ok(block));
    }
}
