//! Colours for each pixel: products of thirteen places, rounded once.

use super::coefficients::Coefficients;

/// Places of a factor, and those that a product is cut off by.
const PLACES: u32 = 13;
const CUT: u32 = 22;
/// Bits of a number before it is multiplied.
const BITS: u32 = 17;

pub(super) struct Whole {
    /// Places to shift numbers by.
    shift: u32,
    light: i64,
    black: i64,
    red_of_red: i64,
    blue_of_blue: i64,
    green_of_blue: i64,
    green_of_red: i64,
}

impl Whole {
    pub(super) fn new(of: &Coefficients, bits: u32) -> Self {
        let rounded = |factor: i64, places: u32| ((factor << places) + (1 << 15)) >> 16;
        let factor = |factor| rounded(factor, PLACES);
        Self {
            shift: BITS - bits,
            light: factor(of.light),
            black: rounded(of.black, BITS - 8),
            red_of_red: factor(of.red_of_red),
            blue_of_blue: factor(of.blue_of_blue),
            green_of_blue: factor(of.green_of_blue),
            green_of_red: factor(of.green_of_red),
        }
    }

    /// Writes a row of pixels.
    pub(super) fn write(&self, light: &[u16], blue: &[u16], red: &[u16], target: &mut [[u8; 3]]) {
        let numbers = light.iter().zip(blue.iter().zip(red));
        for (pixel, (&light, (&blue, &red))) in target.iter_mut().zip(numbers) {
            let [light, blue, red] = [light, blue, red].map(|it| i64::from(it) << self.shift);
            let [blue, red] = [blue, red].map(|it| it - (1 << (BITS - 1)));
            let light = (light - self.black) * self.light + (1 << (CUT - 1));
            *pixel = [
                red * self.red_of_red,
                blue * self.green_of_blue + red * self.green_of_red,
                blue * self.blue_of_blue,
            ]
            .map(|more| ((light + more) >> CUT).clamp(0, 255) as u8);
        }
    }
}
