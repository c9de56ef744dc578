//! A map as some of the channels of another.

use crate::lanes::{Kernel, Lanes};
use crate::memory::Memory;
use crate::packed::PackedStep;

/// Runs one chunk: some rows of pixels.
///
/// # Safety
///
/// As for [`run`](crate::run::run).
pub(crate) unsafe fn run<L: Lanes>(memory: &Memory, step: &PackedStep, chunk: usize) {
    let chunk_rows = step.chunk_rows as usize;
    let height = step.destination.height as usize;
    let bands = height.div_ceil(chunk_rows);
    let (picture, band) = (chunk / bands, chunk % bands);
    let rows = chunk_rows.min(height - band * chunk_rows);
    let width = step.destination.width as usize;
    let first = (picture * height + band * chunk_rows) * width;
    // SAFETY: rows lie in the maps, and no other chunk writes them.
    unsafe {
        L::enter(Join {
            step,
            source: memory
                .map(step.source)
                .add(first * step.source.stride as usize),
            output: memory
                .map(step.destination)
                .add(first * step.destination.stride as usize),
            pixels: rows * width,
        });
    }
}

struct Join<'a> {
    step: &'a PackedStep,
    source: *const f32,
    output: *mut f32,
    pixels: usize,
}

impl Kernel for Join<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let [from, to] = [self.step.source, self.step.destination].map(|map| map.stride as usize);
        let [first, channels] = [self.step.depth, self.step.channels].map(|it| it as usize);
        let end = first + channels;
        for pixel in 0..self.pixels {
            // SAFETY: pixels lie in the maps; the map that is written has room for the channels.
            unsafe {
                let source = self.source.add(pixel * from);
                let output = self.output.add(pixel * to);
                let mut channel = 0;
                while channel + L::WIDTH <= channels {
                    L::load(source.add(channel)).store(output.add(first + channel));
                    channel += L::WIDTH;
                }
                while channel < channels {
                    *output.add(first + channel) = *source.add(channel);
                    channel += 1;
                }
                // The last map is followed by what fills the last vector.
                if end.next_multiple_of(L::WIDTH) == to {
                    for rest in end..to {
                        *output.add(rest) = 0.0;
                    }
                }
            }
        }
    }
}
