//! Linear interpolation along a line.

/// Share of each input in each output, a row an output: linear between the centres of inputs, which lie as PyTorch's
/// `interpolate` with `align_corners=False` has them; beyond the outermost centres there is the outermost input.
pub(crate) fn linear_shares(inputs: usize, outputs: usize) -> Vec<f32> {
    let mut shares = Vec::with_capacity(inputs * outputs);
    let last = inputs.saturating_sub(1) as f32;
    for output in 0..outputs {
        let place = (output as f32 + 0.5) * inputs as f32 / outputs as f32 - 0.5;
        let place = place.clamp(0.0, last);
        let distances = (0..inputs).map(|input| (place - input as f32).abs());
        shares.extend(distances.map(|distance| (1.0 - distance).max(0.0)));
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_lie_between_the_centres_of_inputs() {
        let shares = linear_shares(2, 4);
        assert_eq!(shares, [1.0, 0.0, 0.75, 0.25, 0.25, 0.75, 0.0, 1.0]);
        assert_eq!(linear_shares(1, 3), [1.0; 3]);
        let fewer = linear_shares(4, 2);
        assert_eq!(fewer, [0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5]);
    }
}
