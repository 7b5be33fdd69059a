//! Kept draws and status on their way to the host: a ring of staging buffers, taken in as they arrive.

use super::Loop;
use crate::shape::{STATS, STATUS};
use sngd_core::engine::{EngineError, Fault, FaultKind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A staging buffer's mapping is asked for, there, or refused.
pub(super) const WAITING: u8 = 0;
const MAPPED: u8 = 1;
const FAILED: u8 = 2;

impl Loop {
    /// Copies kept draws and status into a free staging buffer and asks for its mapping.
    pub(super) fn record_copy(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        slots: usize,
        scored: bool,
    ) -> Result<usize, EngineError> {
        while self.copies.len() >= self.staging.len() {
            self.harvest(true)?;
        }
        let index = self.next_staging;
        self.next_staging = (index + 1) % self.staging.len();
        let staging = &self.staging[index];
        let mut end = 0;
        for (name, bytes) in self.copied(slots, scored) {
            let from = self.buffers.get(name)?;
            encoder.copy_buffer_to_buffer(from, 0, &staging.buffer, end, bytes);
            end += bytes;
        }
        let mapped = Arc::clone(&staging.mapped);
        mapped.store(WAITING, Ordering::Release);
        encoder.map_buffer_on_submit(&staging.buffer, wgpu::MapMode::Read, ..end, {
            move |r| {
                let now = if r.is_ok() { MAPPED } else { FAILED };
                mapped.store(now, Ordering::Release);
            }
        });
        Ok(index)
    }

    /// What of which buffers goes to the host, in bytes.
    fn copied(&self, slots: usize, scored: bool) -> Vec<(&'static str, u64)> {
        let s = &self.shape;
        let mut words = vec![
            ("kept", slots * s.c * (s.p + STATS)),
            ("status", s.c * STATUS),
        ];
        if let Some(held) = s.held.as_ref().filter(|_| scored) {
            words.push(("held_sums", held.sums()));
            words.push(("held_draws", 2 * slots * s.c));
        }
        let bytes = words.into_iter().map(|(name, n)| (name, 4 * n as u64));
        bytes.collect()
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
        if staging.mapped.load(Ordering::Acquire) == FAILED {
            return Err(EngineError::Device(
                "a block of draws could not be read back".into(),
            ));
        }
        let copied = self.copied(copy.slots, copy.scored);
        let end = copied.iter().map(|(_, bytes)| bytes).sum::<u64>();
        let view = staging.buffer.get_mapped_range(..end).map_err(|e| {
            EngineError::Device(format!("a block of draws could not be read back: {e}"))
        })?;
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(&view);
        drop(view);
        staging.buffer.unmap();
        staging.mapped.store(WAITING, Ordering::Release);
        let last = copy.last;
        self.copies.pop_front();
        let mut rest = words.as_slice();
        let mut parts = copied.iter().map(|(_, bytes)| {
            let (part, more) = rest.split_at(*bytes as usize / 4);
            rest = more;
            part
        });
        let mut next = || parts.next().unwrap_or_default();
        let (kept, status, sums, draws) = (next(), next(), next(), next());
        self.take(kept);
        self.take_predicted(sums, draws);
        if last {
            self.close(status)?;
        }
        Ok(())
    }

    pub(super) fn take(&mut self, kept: &[u32]) {
        let Some(block) = self.open.front_mut() else {
            return;
        };
        let p = self.shape.p;
        let wide = |w: &u32| f64::from(f32::from_bits(*w));
        for chain in kept.chunks_exact(p + STATS) {
            block.omega.extend(chain[..p].iter().map(wide));
            let at = block.stats.len();
            block.stats.extend(chain[p..].iter().map(wide));
            for lp in &mut block.stats[at..at + 2] {
                *lp -= self.prior_norm;
            }
        }
    }

    fn take_predicted(&mut self, sums: &[u32], draws: &[u32]) {
        if let (Some(block), Some(held)) = (self.open.front_mut(), &self.shape.held)
            && !sums.is_empty()
        {
            let more = held.predicted(sums, draws, self.plan.classes);
            block.predicted.get_or_insert_default().add(more);
        }
    }

    pub(super) fn close(&mut self, status: &[u32]) -> Result<(), EngineError> {
        let Some(mut block) = self.open.pop_front() else {
            return Ok(());
        };
        let mut fallbacks = 0;
        for (chain, words) in status.chunks_exact(STATUS).enumerate() {
            fallbacks += u64::from(words[3]);
            let pivot = words[2];
            let kind = match words[0] {
                0 => continue,
                1 => FaultKind::MetricNotPositive { pivot },
                2 => FaultKind::ResidualNotPositive { pivot },
                _ => FaultKind::Diverged,
            };
            block.faults.push(Fault {
                chain: chain as u32,
                step: words[1],
                kind,
            });
        }
        block.fallbacks = fallbacks - self.fallbacks;
        self.fallbacks = fallbacks;
        let _ = self.blocks.send(Ok(block));
        Ok(())
    }
}
