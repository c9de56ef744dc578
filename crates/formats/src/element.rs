//! Numbers as files store them.

use half::bf16;

use crate::error::WeightsError;
use crate::weights::Weights;

/// Most values that one file may hold: a quarter of a gigabyte of them, three times the largest network here.
pub(crate) const MAX_VALUES: usize = 1 << 28;

/// A floating-point storage type, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    F16,
    Bf16,
    F32,
    F64,
}

impl Element {
    /// Bytes of one number.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// All whole numbers in `bytes`; the caller has checked the length.
    pub(crate) fn decode(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F16 => chunks(bytes, |raw| widened(u16::from_le_bytes(raw))),
            Self::Bf16 => chunks(bytes, |raw| bf16::from_le_bytes(raw).to_f32()),
            Self::F32 => chunks(bytes, f32::from_le_bytes),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "weights are used in 32 bits; overflow is refused later"
            )]
            Self::F64 => chunks(bytes, |raw| f64::from_le_bytes(raw) as f32),
        }
    }
}

/// The value of a 16-bit float. The same as `half` gives, without branches: compilers make vectors of it, which a page that has
/// just loaded runs six times faster.
fn widened(half: u16) -> f32 {
    /// 2^112: by so much the exponents of 32-bit floats begin lower.
    const SCALE: f32 = f32::from_bits(0x7780_0000);
    /// Infinity, with its exponent in the wrong place.
    const INFINITY: u32 = 0x7c00 << 13;
    let bits = u32::from(half);
    let magnitude = (bits & 0x7fff) << 13;
    let value = f32::from_bits(magnitude) * SCALE;
    let infinite = if magnitude < INFINITY { 0 } else { 0x7f80_0000 };
    f32::from_bits(value.to_bits() | infinite | (bits & 0x8000) << 16)
}

fn chunks<const SIZE: usize>(bytes: &[u8], read: impl Fn([u8; SIZE]) -> f32) -> Vec<f32> {
    bytes
        .as_chunks::<SIZE>()
        .0
        .iter()
        .map(|&chunk| read(chunk))
        .collect()
}

/// Number of values of a shape, or a refusal that names the weight. No axis is longer than all values may be, so that a
/// loop over one ends even where another axis is 0.
pub(crate) fn value_count(
    format: &'static str,
    name: &str,
    shape: &[usize],
) -> Result<usize, WeightsError> {
    shape
        .iter()
        .try_fold(1_usize, |product, &axis| product.checked_mul(axis))
        .filter(|&count| count <= MAX_VALUES && shape.iter().all(|&axis| axis <= MAX_VALUES))
        .ok_or_else(|| {
            malformed(
                format,
                format!("weight `{name}` of shape {shape:?} has too many values"),
            )
        })
}

/// Checks that `bytes` are exactly the values of `shape` and decodes them.
pub(crate) fn decode_exactly(
    format: &'static str,
    name: &str,
    shape: &[usize],
    element: Element,
    bytes: &[u8],
) -> Result<Vec<f32>, WeightsError> {
    let expected = value_count(format, name, shape)?.saturating_mul(element.size());
    if bytes.len() != expected {
        let got = bytes.len();
        return Err(malformed(
            format,
            format!("weight `{name}` of shape {shape:?} has {got} bytes, expected {expected}"),
        ));
    }
    Ok(element.decode(bytes))
}

/// Adds a weight that a file holds; numbers that would spread through a network are refused here.
pub(crate) fn insert_finite(
    weights: &mut Weights,
    format: &'static str,
    name: &str,
    shape: Vec<usize>,
    values: Vec<f32>,
) -> Result<(), WeightsError> {
    // All are looked at, which is faster than to stop at the first.
    let is_finite = (values.iter()).fold(true, |so_far, value| so_far & value.is_finite());
    if !is_finite && let Some(index) = values.iter().position(|value| !value.is_finite()) {
        return Err(malformed(
            format,
            format!("weight `{name}` is not finite at index {index}"),
        ));
    }
    if weights.get(name).is_some() {
        return Err(malformed(format, format!("weight `{name}` occurs twice")));
    }
    weights.insert(name, shape, values)
}

/// Shorthand for the most frequent refusal.
pub(crate) fn malformed(format: &'static str, reason: impl Into<String>) -> WeightsError {
    WeightsError::Malformed {
        format,
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;

    #[test]
    fn every_half_has_the_value_that_half_gives_it() {
        for bits in 0..=u16::MAX {
            let expected = f16::from_bits(bits).to_f32();
            let read = Element::F16.decode(&bits.to_le_bytes())[0];
            // The payload of a number that is none may differ.
            let is_equal = read.to_bits() == expected.to_bits();
            assert!(
                is_equal || (read.is_nan() && expected.is_nan()),
                "{bits:#06x}: {read}"
            );
        }
    }

    #[test]
    fn every_element_reads_one_and_a_half() {
        assert_eq!(
            Element::F16.decode(&f16::from_f32(1.5).to_le_bytes()),
            [1.5]
        );
        assert_eq!(
            Element::Bf16.decode(&bf16::from_f32(1.5).to_le_bytes()),
            [1.5]
        );
        assert_eq!(Element::F32.decode(&1.5_f32.to_le_bytes()), [1.5]);
        assert_eq!(Element::F64.decode(&1.5_f64.to_le_bytes()), [1.5]);
    }

    #[test]
    fn a_long_axis_beside_one_of_0_is_refused() {
        assert_eq!(value_count("onnx", "a", &[0, 3]).expect("nothing"), 0);
        let error = value_count("onnx", "a", &[0, 1 << 62]).expect_err("an axis without end");
        assert!(
            error.to_string().ends_with("has too many values"),
            "{error}"
        );
    }

    #[test]
    fn shapes_that_overflow_are_refused() {
        let error = value_count("onnx", "a", &[usize::MAX, 2]).expect_err("overflow");
        assert_eq!(
            error.to_string(),
            format!(
                "onnx file is malformed: weight `a` of shape [{}, 2] has too many values",
                usize::MAX
            )
        );
    }
}
