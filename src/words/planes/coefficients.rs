//! What brightness and colours count in red, green and blue, in whole numbers, sixteen places behind the point.

/// Factors for numbers of 8 bits.
pub(super) struct Coefficients {
    /// Of brightness, and what is taken off before.
    pub(super) light: i64,
    pub(super) black: i64,
    pub(super) red_of_red: i64,
    pub(super) blue_of_blue: i64,
    pub(super) green_of_blue: i64,
    pub(super) green_of_red: i64,
    pub(super) is_full_range: bool,
}

const ONE: i64 = 1 << 16;

/// What the colours count in full range: red-difference in red, blue-difference in blue, and in green the blue and the red one
/// (ITU-T H.273); `weights` are those of red and blue in the brightness.
pub(super) fn of_colours([red, blue]: [f64; 2]) -> [f64; 4] {
    let green = 1.0 - red - blue;
    [
        2.0 * (1.0 - red),
        2.0 * (1.0 - blue),
        -2.0 * (1.0 - blue) * blue / green,
        -2.0 * (1.0 - red) * red / green,
    ]
}

impl Coefficients {
    pub(super) fn new(weights: [f64; 2], is_full_range: bool) -> Self {
        let factor = |factor: f64| {
            // As they are for the limited range, from which the others come.
            #[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
            let limited = (factor * 255.0 / 224.0 * ONE as f64).round() as i32;
            let limited = i64::from(limited);
            if is_full_range {
                limited * 224 / 255
            } else {
                limited
            }
        };
        let (light, black) = match is_full_range {
            true => (ONE, 0),
            false => (ONE * 255 / 219, 16 * ONE),
        };
        let [red_of_red, blue_of_blue, green_of_blue, green_of_red] =
            of_colours(weights).map(factor);
        Self {
            light,
            black,
            red_of_red,
            blue_of_blue,
            green_of_blue,
            green_of_red,
            is_full_range,
        }
    }
}
