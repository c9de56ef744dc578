//! Clips of more or fewer frames, linear between their centres; places among the centres of pixels.

use crate::lanes::{Kernel, Lanes};
use crate::memory::Memory;
use crate::packed::PackedStep;

/// Runs one chunk: some rows of pixels of the output.
///
/// # Safety
///
/// As for [`run`](crate::run::run).
pub(crate) unsafe fn run<L: Lanes>(memory: &Memory, step: &PackedStep, chunk: usize) {
    let chunk_rows = step.chunk_rows as usize;
    let height = step.destination.height as usize;
    let bands = height.div_ceil(chunk_rows);
    let (picture, band) = (chunk / bands, chunk % bands);
    // SAFETY: rows lie in the maps, and no other chunk writes them.
    unsafe {
        L::enter(Frames {
            step,
            source: memory.map(step.source).add(picture * step.source.len()),
            output: memory
                .map(step.destination)
                .add(picture * step.destination.len()),
            rows: [band * chunk_rows, ((band + 1) * chunk_rows).min(height)],
        });
    }
}

struct Frames<'a> {
    step: &'a PackedStep,
    source: *const f32,
    output: *mut f32,
    rows: [usize; 2],
}

impl Kernel for Frames<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let [from, to] =
            [self.step.span.frames, self.step.span.output].map(|frames| frames as usize);
        let height = self.step.destination.height as usize / to;
        let length = self.step.destination.row();
        for row in self.rows[0]..self.rows[1] {
            let Between { pixels, shares } = between(row / height, from, to);
            let rows = pixels.map(|frame| (frame * height + row % height) * length);
            for place in (0..length).step_by(L::WIDTH) {
                // SAFETY: both rows lie in the source and are as long as that of the output: whole vectors.
                unsafe {
                    let [before, after] = rows.map(|row| L::load(self.source.add(row + place)));
                    after
                        .mul_add(L::splat(shares[1]), before.mul(L::splat(shares[0])))
                        .store(self.output.add(row * length + place));
                }
            }
        }
    }
}

/// The pixels before and after a place, and their shares in it.
#[derive(Debug, PartialEq)]
pub(crate) struct Between {
    pub(crate) pixels: [usize; 2],
    pub(crate) shares: [f32; 2],
}

/// Where the centre of an output lies among the centres of the inputs, of which there are `inputs` to `outputs` of these.
pub(crate) fn between(output: usize, inputs: usize, outputs: usize) -> Between {
    // In units of half an output.
    let place = ((2 * output + 1) * inputs).saturating_sub(outputs);
    let before = place / (2 * outputs);
    let share = (place % (2 * outputs)) as f32 / (2 * outputs) as f32;
    Between {
        pixels: [before, (before + 1).min(inputs - 1)],
        shares: [1.0 - share, share],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PyTorch's `interpolate([0, 1, .., n - 1], mode="linear")` gives the places themselves, but for the ends.
    #[test]
    fn places_are_those_of_pytorch() {
        let place = |output, inputs, outputs| {
            let Between { pixels, shares } = between(output, inputs, outputs);
            let products = pixels.iter().zip(shares);
            products
                .map(|(&pixel, share)| pixel as f32 * share)
                .sum::<f32>()
        };
        let enlarged: [f32; 4] = core::array::from_fn(|output| place(output, 3, 4));
        assert_eq!(enlarged, [0.0, 0.625, 1.375, 2.0]);
        let reduced: [f32; 3] = core::array::from_fn(|output| place(output, 4, 3));
        for (got, expected) in reduced.into_iter().zip([1.0 / 6.0, 1.5, 17.0 / 6.0]) {
            assert!((got - expected).abs() < 1e-6, "{reduced:?}");
        }
        for output in 0..5 {
            let expected = Between {
                pixels: [output, (output + 1).min(4)],
                shares: [1.0, 0.0],
            };
            assert_eq!(between(output, 5, 5), expected);
        }
    }
}
