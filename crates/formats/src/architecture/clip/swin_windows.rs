//! Which patches of a clip see each other in Video Swin.
//!
//! A window is as large as the map along axes that are no longer than it, and is not shifted there. Maps are filled up with
//! zeros to whole windows. In shifted layers the map goes round by half a window, and patches that were no neighbours before do
//! not see each other.

use crate::architecture::arrangement::{Arrangement, place};

/// Moments, rows and columns of a window.
const WINDOW: [usize; 3] = [8, 7, 7];

/// Moments, rows and columns of patches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid(pub(super) [usize; 3]);

impl Grid {
    fn len(self) -> usize {
        self.0.iter().product()
    }

    /// The places of all patches, in order.
    fn places(self) -> impl Iterator<Item = [usize; 3]> {
        let Self([_, height, width]) = self;
        (0..self.len()).map(move |number| {
            [
                number / width / height,
                number / width % height,
                number % width,
            ]
        })
    }

    /// The number of the patch at a place; none outside.
    fn number(self, [moment, y, x]: [usize; 3]) -> Option<u32> {
        let Self([moments, height, width]) = self;
        let is_inside = moment < moments && y < height && x < width;
        is_inside
            .then(|| place((moment * height + y) * width + x))
            .flatten()
    }

    /// Half as many rows and columns.
    pub(super) fn merged(self) -> Self {
        let Self([moments, height, width]) = self;
        Self([moments, height.div_ceil(2), width.div_ceil(2)])
    }

    /// For each of the four neighbours that become one, where it is: above and below on the left, then on the right. Zeros
    /// stand for those outside.
    pub(super) fn neighbours(self) -> [Arrangement; 4] {
        let merged = self.merged();
        let Self([moments, height, width]) = merged;
        [[0, 0], [1, 0], [0, 1], [1, 1]].map(|[down, right]| Arrangement {
            height: moments * height,
            width,
            places: merged
                .places()
                .map(|[moment, y, x]| self.number([moment, 2 * y + down, 2 * x + right]))
                .collect(),
            addend: Vec::new(),
        })
    }

    /// Windows over such a map.
    pub(super) fn windows(self, is_shifted: bool) -> Windows {
        let Self(sides) = self;
        let window: [usize; 3] = std::array::from_fn(|axis| WINDOW[axis].min(sides[axis]));
        let shift = std::array::from_fn(|axis| match is_shifted && sides[axis] > WINDOW[axis] {
            true => WINDOW[axis] / 2,
            false => 0,
        });
        Windows {
            grid: self,
            window: Self(window),
            shift,
        }
    }
}

/// Windows over a map of patches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Windows {
    grid: Grid,
    window: Grid,
    shift: [usize; 3],
}

impl Windows {
    /// Ways in which two patches of a whole window can lie to each other.
    pub(super) const PLACES: usize =
        (2 * WINDOW[0] - 1) * (2 * WINDOW[1] - 1) * (2 * WINDOW[2] - 1);

    /// The map in whole windows, and how many windows there are along each axis.
    fn whole(&self) -> (Grid, Grid) {
        let count = std::array::from_fn(|axis| self.grid.0[axis].div_ceil(self.window.0[axis]));
        let whole = std::array::from_fn(|axis| count[axis] * self.window.0[axis]);
        (Grid(whole), Grid(count))
    }

    /// Places in the map that has gone round: all patches of the first window, of the second, and so on.
    fn places(&self) -> impl Iterator<Item = [usize; 3]> {
        let (_, count) = self.whole();
        let Self { window, .. } = *self;
        count.places().flat_map(move |corner| {
            let of_window = window.places();
            of_window.map(move |place| {
                std::array::from_fn(|axis| corner[axis] * window.0[axis] + place[axis])
            })
        })
    }

    /// A row of patches for each window.
    pub(super) fn apart(&self) -> Arrangement {
        let (Grid(whole), count) = self.whole();
        let before = |place: [usize; 3]| {
            std::array::from_fn(|axis| (place[axis] + self.shift[axis]) % whole[axis])
        };
        Arrangement {
            height: count.len(),
            width: self.window.len(),
            places: self
                .places()
                .map(|place| self.grid.number(before(place)))
                .collect(),
            addend: Vec::new(),
        }
    }

    /// The map of such rows.
    pub(super) fn together(&self) -> Arrangement {
        let Grid([moments, height, width]) = self.grid;
        let mut places = vec![None; self.grid.len()];
        for (row, patch) in self.apart().places.into_iter().enumerate() {
            if let Some(patch) = patch {
                places[patch as usize] = place(row);
            }
        }
        Arrangement {
            height: moments * height,
            width,
            places,
            addend: Vec::new(),
        }
    }

    /// A number for each patch of a window: how two of them lie to each other is the difference.
    ///
    /// Patches of windows that are smaller than the whole one are counted as the first ones of that, as torchvision does. Where
    /// only moments are fewer they are the same.
    pub(super) fn codes(&self) -> Vec<u32> {
        let [_, height, width] = WINDOW.map(|side| 2 * side - 1);
        let places = Grid(WINDOW).places().take(self.window.len());
        let codes = places.map(|[moment, y, x]| (moment * height + y) * width + x);
        codes
            .map(|code| u32::try_from(code).expect("a window is small"))
            .collect()
    }

    /// The region of each patch of all windows; nothing where all of a window see each other.
    pub(super) fn regions(&self) -> Vec<u32> {
        if self.shift == [0; 3] {
            return Vec::new();
        }
        let (Grid(whole), _) = self.whole();
        let region = |place: [usize; 3]| {
            let along = |axis: usize| {
                let (side, window, shift) = (whole[axis], self.window.0[axis], self.shift[axis]);
                match place[axis] {
                    _ if shift == 0 => 0,
                    at if at < side - window => 0,
                    at if at < side - shift => 1,
                    _ => 2,
                }
            };
            (along(0) * 3 + along(1)) * 3 + along(2)
        };
        self.places().map(region).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_the_published_ones() {
        let windows = Grid([8, 56, 56]).windows(true);
        // All moments, and shifted by three rows and columns.
        assert_eq!(windows.window, Grid(WINDOW));
        assert_eq!(windows.shift, [0, 3, 3]);
        let windows = Grid([16, 56, 56]).windows(true);
        assert_eq!(windows.shift, [4, 3, 3]);
        let windows = Grid([4, 7, 7]).windows(true);
        assert_eq!((windows.window, windows.shift), (Grid([4, 7, 7]), [0; 3]));
        assert!(windows.regions().is_empty());
        assert_eq!(Windows::PLACES, 15 * 13 * 13);
    }

    #[test]
    fn rows_of_windows_give_the_map_again() {
        for grid in [Grid([8, 14, 14]), Grid([10, 8, 9]), Grid([1, 1, 2])] {
            for is_shifted in [false, true] {
                let windows = grid.windows(is_shifted);
                let (apart, together) = (windows.apart(), windows.together());
                assert_eq!(apart.width, windows.codes().len());
                let back = together.places.iter().map(|row| {
                    let row = row.expect("every patch is in a window");
                    apart.places[row as usize]
                });
                let numbers: Vec<_> = (0..grid.len()).map(place).collect();
                assert_eq!(back.collect::<Vec<_>>(), numbers, "{grid:?}");
            }
        }
    }

    /// Neighbours in the map that has gone round see each other only if they were neighbours before.
    #[test]
    fn patches_of_one_region_were_in_one_window() {
        let grid = Grid([16, 14, 14]);
        let windows = grid.windows(true);
        let (apart, regions) = (windows.apart(), windows.regions());
        let places: Vec<_> = grid.places().collect();
        let rows = apart.places.chunks_exact(apart.width);
        for (row, regions) in rows.zip(regions.chunks_exact(apart.width)) {
            let of_row = |index: usize| places[row[index].expect("no zeros here") as usize];
            for index in 1..row.len() {
                let (first, other) = (of_row(0), of_row(index));
                let is_near = (0..3).all(|axis| first[axis].abs_diff(other[axis]) < WINDOW[axis]);
                if regions[0] == regions[index] {
                    assert!(is_near, "{first:?} and {other:?}");
                }
            }
        }
    }

    #[test]
    fn zeros_stand_for_neighbours_outside() {
        let [first, below, right, last] = Grid([1, 3, 3]).neighbours();
        assert_eq!((first.height, first.width), (2, 2));
        let numbers = |it: &Arrangement| it.places.clone();
        assert_eq!(numbers(&first), [Some(0), Some(2), Some(6), Some(8)]);
        assert_eq!(numbers(&below), [Some(3), Some(5), None, None]);
        assert_eq!(numbers(&right), [Some(1), None, Some(7), None]);
        assert_eq!(numbers(&last), [Some(4), None, None, None]);
    }
}
