//! Pixels in another order.

use crate::lanes::{Kernel, Lanes};
use crate::memory::Memory;
use crate::packed::{NONE, PackedStep};

/// Runs one chunk: some pixels of all pictures.
///
/// # Safety
///
/// As for [`run`](crate::run::run).
pub(crate) unsafe fn run<L: Lanes>(memory: &Memory, step: &PackedStep, chunk: usize) {
    let chunk_rows = step.chunk_rows as usize;
    let pixels = memory.batch * step.destination.pixels();
    let first = chunk * chunk_rows;
    // SAFETY: pixels lie in the map, and no other chunk writes them.
    unsafe {
        L::enter(Arrange {
            step,
            source: memory.map(step.source),
            output: memory.map(step.destination),
            places: memory.parameters.add(step.weight as usize).cast(),
            addend: match step.bias {
                NONE => core::ptr::null(),
                place => memory.parameters.add(place as usize),
            },
            pixels: [first, (first + chunk_rows).min(pixels)],
        });
    }
}

struct Arrange<'a> {
    step: &'a PackedStep,
    source: *const f32,
    output: *mut f32,
    /// The number of each pixel of a picture and one; zero for zeros.
    places: *const u32,
    /// What is added to each pixel of a picture; null for nothing.
    addend: *const f32,
    pixels: [usize; 2],
}

impl Kernel for Arrange<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let [from, to] = [self.step.source, self.step.destination];
        let stride = to.stride as usize;
        for pixel in self.pixels[0]..self.pixels[1] {
            let (picture, pixel) = (pixel / to.pixels(), pixel % to.pixels());
            // SAFETY: places lie in the map that is read, whose pixels are as many whole vectors as those that are written.
            unsafe {
                let place = *self.places.add(pixel) as usize;
                let output = self.output.add(picture * to.len() + pixel * stride);
                // Never read where the place is zero.
                let source = self
                    .source
                    .wrapping_add(picture * from.len())
                    .wrapping_add((place * stride).wrapping_sub(stride));
                for channel in (0..stride).step_by(L::WIDTH) {
                    let mut value = match place {
                        0 => L::splat(0.0),
                        _ => L::load(source.add(channel)),
                    };
                    if !self.addend.is_null() {
                        value = value.add(L::load(self.addend.add(pixel * stride + channel)));
                    }
                    value.store(output.add(channel));
                }
            }
        }
    }
}
