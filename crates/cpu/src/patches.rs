//! Patches of pictures: pixels in rows by their place in a patch, and the picture of such rows.
//!
//! A picture whose sides are not whole patches is brought to whole ones on the way and back, bilinear between the centres of
//! pixels, as MobileViT does it (Mehta and Rastegari 2021).

use crate::interpolation::between;
use crate::lanes::{Kernel, Lanes};
use crate::memory::Memory;
use crate::packed::{Kind, PackedMap, PackedStep};

/// Runs one chunk: some rows of the output.
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
        L::enter(Patches {
            step,
            source: memory.map(step.source).add(picture * step.source.len()),
            output: memory
                .map(step.destination)
                .add(picture * step.destination.len()),
            rows: [band * chunk_rows, ((band + 1) * chunk_rows).min(height)],
        });
    }
}

struct Patches<'a> {
    step: &'a PackedStep,
    source: *const f32,
    output: *mut f32,
    rows: [usize; 2],
}

impl Kernel for Patches<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let PackedStep {
            source,
            destination,
            groups,
            ..
        } = *self.step;
        let (side, pixel) = (groups as usize, source.stride as usize);
        let is_unfolded = self.step.kind == Kind::Unfold;
        let picture = if is_unfolded { source } else { destination };
        let PackedMap { height, width, .. } = picture;
        let sides = [height, width].map(|count| count as usize);
        // The picture in whole patches.
        let [down, across] = sides.map(|count| count.div_ceil(side));
        let whole = [down * side, across * side];
        let columns = destination.width as usize;
        for row in self.rows[0]..self.rows[1] {
            for column in 0..columns {
                let (ys, xs) = if is_unfolded {
                    let y = column / across * side + row / side;
                    let x = column % across * side + row % side;
                    (
                        between(y, sides[0], whole[0]),
                        between(x, sides[1], whole[1]),
                    )
                } else {
                    (
                        between(row, whole[0], sides[0]),
                        between(column, whole[1], sides[1]),
                    )
                };
                let place = |y: usize, x: usize| {
                    let place = if is_unfolded {
                        y * sides[1] + x
                    } else {
                        let of_patch = y % side * side + x % side;
                        (of_patch * down + y / side) * across + x / side
                    };
                    place * pixel
                };
                let places = [(0, 0), (0, 1), (1, 0), (1, 1)];
                let corners = places.map(|(y, x)| place(ys.pixels[y], xs.pixels[x]));
                let shares = places.map(|(y, x)| ys.shares[y] * xs.shares[x]);
                for channel in (0..pixel).step_by(L::WIDTH) {
                    // SAFETY: pixels lie in the maps, whose channels are whole vectors and as many.
                    unsafe {
                        let corner =
                            |index: usize| L::load(self.source.add(corners[index] + channel));
                        let mut sum = corner(0).mul(L::splat(shares[0]));
                        for (index, share) in shares.into_iter().enumerate().skip(1) {
                            sum = corner(index).mul_add(L::splat(share), sum);
                        }
                        sum.store(self.output.add((row * columns + column) * pixel + channel));
                    }
                }
            }
        }
    }
}
