//! A ring of staging buffers. Through it, copies of device buffers reach the CPU side while the device keeps working.

use crate::buffer::Buffer;
use crate::buffers::Buffers;
use crate::device::Gpu;
use sngd_core::engine::EngineError;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// Number of staging buffers.
const COUNT: usize = 3;

/// State of a staging buffer's mapping: requested, ready, or failed.
const WAITING: u8 = 0;
const MAPPED: u8 = 1;
const FAILED: u8 = 2;

/// A staging buffer, which the CPU side reads.
struct Slot {
    buffer: wgpu::Buffer,
    mapped: Arc<AtomicU8>,
}

/// A copy in flight.
struct Copy {
    slot: usize,
    draws: usize,
    last: bool,
    submission: wgpu::SubmissionIndex,
}

/// The ring of staging buffers.
pub(super) struct Staging {
    slots: Vec<Slot>,
    next: usize,
    copies: VecDeque<Copy>,
}

impl Staging {
    /// Allocates the ring, with buffers of `bytes` each.
    pub fn new(gpu: &Gpu, bytes: u64) -> Staging {
        let slot = |_| Slot {
            buffer: gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("staging"),
                size: bytes,
                usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
                mapped_at_creation: false,
            }),
            mapped: Arc::new(AtomicU8::new(WAITING)),
        };
        Staging {
            slots: (0..COUNT).map(slot).collect(),
            next: 0,
            copies: VecDeque::new(),
        }
    }

    /// Whether the oldest copy must be read before another can be recorded.
    pub fn is_full(&self) -> bool {
        self.copies.len() >= self.slots.len()
    }

    /// Number of kept draws in the oldest copy, and whether they end their span. `None` without copies in flight.
    pub fn oldest(&self) -> Option<(usize, bool)> {
        self.copies.front().map(|copy| (copy.draws, copy.last))
    }

    /// Records a copy of the first bytes of some buffers, one after the other, and requests its mapping.
    pub fn record(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        buffers: &Buffers,
        parts: &[(Buffer, u64)],
    ) -> Result<(), EngineError> {
        let slot = &self.slots[self.next];
        let mut end = 0;
        for &(buffer, bytes) in parts {
            encoder.copy_buffer_to_buffer(buffers.get(buffer)?, 0, &slot.buffer, end, bytes);
            end += bytes;
        }
        let mapped = Arc::clone(&slot.mapped);
        mapped.store(WAITING, Ordering::Release);
        encoder.map_buffer_on_submit(&slot.buffer, wgpu::MapMode::Read, ..end, move |r| {
            let now = if r.is_ok() { MAPPED } else { FAILED };
            mapped.store(now, Ordering::Release);
        });
        Ok(())
    }

    /// Notes that the copy recorded last, of `draws` kept draws, is submitted.
    pub fn sent(&mut self, draws: usize, last: bool, submission: wgpu::SubmissionIndex) {
        self.copies.push_back(Copy {
            slot: self.next,
            draws,
            last,
            submission,
        });
        self.next = (self.next + 1) % self.slots.len();
    }

    /// The words of the oldest copy, of `bytes` in all. `None` where it has not arrived and `wait` is not set.
    pub fn take(
        &mut self,
        gpu: &Gpu,
        bytes: u64,
        wait: bool,
    ) -> Result<Option<Vec<u32>>, EngineError> {
        let Some(copy) = self.copies.front() else {
            return Ok(None);
        };
        let slot = &self.slots[copy.slot];
        if slot.mapped.load(Ordering::Acquire) == WAITING {
            if !wait {
                return Ok(None);
            }
            let wait = || {
                let patience = gpu.patience(0.0, false);
                gpu.wait_for(Some(copy.submission.clone()), patience, "a copy of draws")
            };
            wait()?;
            // Engines share a device. The thread that polls first runs the callbacks of all, and ours may still be pending.
            while slot.mapped.load(Ordering::Acquire) == WAITING {
                std::thread::sleep(Duration::from_micros(50));
                wait()?;
            }
        }
        let refused = |why: String| {
            EngineError::Device(format!("a block of draws could not be read back{why}"))
        };
        if slot.mapped.load(Ordering::Acquire) == FAILED {
            return Err(refused(String::new()));
        }
        let view = slot
            .buffer
            .get_mapped_range(..bytes)
            .map_err(|e| refused(format!(": {e}")))?;
        let words = bytemuck::pod_collect_to_vec(&view);
        drop(view);
        slot.buffer.unmap();
        slot.mapped.store(WAITING, Ordering::Release);
        self.copies.pop_front();
        Ok(Some(words))
    }
}
