//! More than 8 bits, colours for two pixels: brightness is rounded to 8 bits, and a colour moves the place where it is looked up.

use super::coefficients::Coefficients;

const LEVELS: usize = 256;
/// Steps of brightness from the start of the table to its black, in either range.
const TO_BLACK: i64 = 326;
const TO_BLACK_OF_FULL: i64 = 384;
/// Steps of the table that lie before 0.
const BEFORE: i64 = 384 << 16;
/// What the rows above and below count in a row of pixels that lies between them, in 4096ths: bicubic, the next one by a quarter
/// of a row away, then that on the other side, and the ones behind them.
const WEIGHTS: [i64; 4] = [3572, 985, -346, -115];
const WEIGHT_BITS: u32 = 12;

pub(super) struct Deep {
    bits: u32,
    black: i64,
    light: i64,
    red_of_red: [i64; LEVELS],
    blue_of_blue: [i64; LEVELS],
    green_of_blue: [i64; LEVELS],
    green_of_red: [i64; LEVELS],
}

impl Deep {
    pub(super) fn new(of: &Coefficients, bits: u32) -> Self {
        // In steps of brightness.
        let steps = |factor: i64| {
            let factor = ((factor << 16) + (1 << 15)) / of.light;
            std::array::from_fn(|level| ((level as i64 * factor) >> 16) - (factor >> 9))
        };
        let first = match of.is_full_range {
            true => TO_BLACK_OF_FULL,
            false => TO_BLACK,
        };
        Self {
            bits,
            black: first * of.light - BEFORE - of.black + (1 << 15),
            light: of.light,
            red_of_red: steps(of.red_of_red),
            blue_of_blue: steps(of.blue_of_blue),
            green_of_blue: steps(of.green_of_blue),
            green_of_red: steps(of.green_of_red),
        }
    }

    /// Numbers as levels of 8 bits.
    pub(super) fn rounded(&self, row: Vec<u16>) -> Vec<u8> {
        let cut = self.bits - 8;
        let level = |number: u16| (u32::from(number) + (1 << (cut - 1))) >> cut;
        row.into_iter()
            .map(|number| level(number).min(255) as u8)
            .collect()
    }

    /// The rows of colours that count in a row of pixels, in the order of [`WEIGHTS`]; beyond the border the last one repeats.
    pub(super) fn rows_around(row: usize, rows: usize) -> [usize; 4] {
        let next = row / 2;
        let (above, below) = (
            |by: usize| next.saturating_sub(by),
            |by: usize| (next + by).min(rows - 1),
        );
        match row % 2 {
            0 => [next, above(1), below(1), above(2)],
            _ => [next, below(1), above(1), below(2)],
        }
    }

    /// The levels of a row between those that [`Self::rows_around`] names.
    pub(super) fn between(&self, rows: [Vec<u16>; 4]) -> Vec<u8> {
        let cut = self.bits - 8 + WEIGHT_BITS;
        let level = |column: usize| {
            let products = rows.iter().zip(WEIGHTS);
            let sum: i64 = products
                .map(|(row, weight)| i64::from(row[column]) * weight)
                .sum();
            ((sum + (1 << (cut - 1))) >> cut).clamp(0, 255) as u8
        };
        (0..rows[0].len()).map(level).collect()
    }

    /// Writes a row of pixels.
    pub(super) fn write(&self, light: &[u8], blue: &[u8], red: &[u8], target: &mut [[u8; 3]]) {
        let pairs = target
            .as_chunks_mut::<2>()
            .0
            .iter_mut()
            .zip(light.as_chunks::<2>().0);
        for ((pixels, light), (&blue, &red)) in pairs.zip(blue.iter().zip(red)) {
            let [blue, red] = [blue, red].map(usize::from);
            let steps = [
                self.red_of_red[red],
                self.green_of_blue[blue] + self.green_of_red[red],
                self.blue_of_blue[blue],
            ];
            for (pixel, &light) in pixels.iter_mut().zip(light) {
                let light = i64::from(light);
                *pixel = steps.map(|steps| {
                    let level = (self.black + (light + steps) * self.light) >> 16;
                    level.clamp(0, 255) as u8
                });
            }
        }
    }
}
