//! Channels as pixels, and pixels as channels.

use crate::lanes::{Kernel, Lanes};
use crate::memory::Memory;
use crate::packed::PackedStep;

/// Runs one chunk: a picture.
///
/// # Safety
///
/// As for [`run`](crate::run::run).
pub(crate) unsafe fn run<L: Lanes>(memory: &Memory, step: &PackedStep, picture: usize) {
    // SAFETY: pictures lie in the maps, and no other chunk writes this one.
    unsafe {
        L::enter(Transpose {
            step,
            source: memory.map(step.source).add(picture * step.source.len()),
            output: memory
                .map(step.destination)
                .add(picture * step.destination.len()),
        });
    }
}

struct Transpose<'a> {
    step: &'a PackedStep,
    source: *const f32,
    output: *mut f32,
}

impl Kernel for Transpose<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let [from, to] = [self.step.source, self.step.destination];
        let [read, written] = [from.stride as usize, to.stride as usize];
        let pixels = from.pixels();
        for row in 0..to.pixels() {
            // SAFETY: a channel of the source for each pixel of the output, and the other way round; what fills the last
            // vector of a pixel belongs to it.
            unsafe {
                let output = self.output.add(row * written);
                for pixel in 0..pixels {
                    *output.add(pixel) = *self.source.add(pixel * read + row);
                }
                for rest in pixels..written {
                    *output.add(rest) = 0.0;
                }
            }
        }
    }
}
