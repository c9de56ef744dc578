//! 8 bits, colours for two pixels: a sum of what each number is worth, which is cut off and not rounded.

use super::coefficients::of_colours;

const LEVELS: usize = 256;
/// Numbers have three binary places, factors thirteen; products keep what is above the sixteenth.
const NUMBER: i32 = 8;
const FACTOR: f64 = 8192.0;
const PRODUCT_BITS: u32 = 16;

/// What each level of a plane adds to a colour.
pub(super) struct Pairs {
    light: [i16; LEVELS],
    red_of_red: [i16; LEVELS],
    green_of_blue: [i16; LEVELS],
    green_of_red: [i16; LEVELS],
    blue_of_blue: [i16; LEVELS],
}

impl Pairs {
    pub(super) fn new(weights: [f64; 2], is_full_range: bool) -> Self {
        let (black, brightness, colour) = match is_full_range {
            true => (0, 1.0, 1.0),
            false => (16, 255.0 / 219.0, 255.0 / 224.0),
        };
        let [red_of_red, blue_of_blue, green_of_blue, green_of_red] =
            of_colours(weights).map(|factor| levels(128, factor * colour));
        Self {
            light: levels(black, brightness),
            red_of_red,
            green_of_blue,
            green_of_red,
            blue_of_blue,
        }
    }

    /// Writes a row of pixels; all numbers are below 256.
    pub(super) fn write(&self, light: &[u16], blue: &[u16], red: &[u16], target: &mut [[u8; 3]]) {
        let level = |number: u16| usize::from(number) % LEVELS;
        let pairs = target
            .as_chunks_mut::<2>()
            .0
            .iter_mut()
            .zip(light.as_chunks::<2>().0);
        for ((pixels, light), (&blue, &red)) in pairs.zip(blue.iter().zip(red)) {
            let [blue, red] = [blue, red].map(level);
            let colour = [
                self.red_of_red[red],
                self.green_of_blue[blue] + self.green_of_red[red],
                self.blue_of_blue[blue],
            ];
            for (pixel, &light) in pixels.iter_mut().zip(light) {
                let light = self.light[level(light)];
                *pixel = colour.map(|more| (light + more).clamp(0, 255) as u8);
            }
        }
    }
}

/// What each level is worth, counted from `zero`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "factors are small, and products of thirteen bits less than numbers"
)]
fn levels(zero: i32, factor: f64) -> [i16; LEVELS] {
    let factor = (factor * FACTOR).round() as i16;
    std::array::from_fn(|level| {
        let number = (level as i32 - zero) * NUMBER;
        ((number * i32::from(factor)) >> PRODUCT_BITS) as i16
    })
}
