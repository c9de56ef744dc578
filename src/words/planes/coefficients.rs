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

impl Coefficients {
    pub(super) fn new([red, blue]: [f64; 2], is_full_range: bool) -> Self {
        let green = 1.0 - red - blue;
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
        Self {
            light,
            black,
            red_of_red: factor(2.0 * (1.0 - red)),
            blue_of_blue: factor(2.0 * (1.0 - blue)),
            green_of_blue: factor(-2.0 * (1.0 - blue) * blue / green),
            green_of_red: factor(-2.0 * (1.0 - red) * red / green),
            is_full_range,
        }
    }
}
