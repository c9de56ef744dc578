//! Silero VAD for sound of 16 kHz: whether somebody speaks (Silero Team, "Silero VAD", 2024).
//!
//! A short-time Fourier transform written as a convolution, four convolutions over time, an LSTM cell and one output.

/// Name of the architecture in a weights file.
pub const NAME: &str = "silero-vad";

/// Samples a second.
pub const RATE: u32 = 16_000;
/// Samples that one probability is for: 32 ms.
pub const CHUNK: usize = 512;
/// Samples before them that the network looks at too.
pub const CONTEXT: usize = 64;
/// Samples a window of the transform; windows are half as far apart.
pub const WINDOW: usize = 256;
/// Frequencies of the transform.
pub const FREQUENCIES: usize = WINDOW / 2 + 1;
/// Units of the LSTM.
pub const UNITS: usize = 128;
/// Taps of each convolution over time.
pub const TAPS: usize = 3;

/// Weights of the transform, `[2 * FREQUENCIES, 1, WINDOW]`: cosines, then sines.
pub const TRANSFORM: &str = "stft_conv.weight";

/// A convolution over time with [`TAPS`] taps, padded by one zero at both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeConvolution {
    /// Its parameters are `<name>.weight`, `[outputs, inputs, TAPS]`, and `<name>.bias`.
    pub name: &'static str,
    /// Channels in.
    pub inputs: usize,
    /// Channels out.
    pub outputs: usize,
    /// Steps of time from one output to the next.
    pub stride: usize,
}

/// The convolutions in the order in which they run, each followed by ReLU.
pub const CONVOLUTIONS: [TimeConvolution; 4] = [
    TimeConvolution {
        name: "conv1",
        inputs: FREQUENCIES,
        outputs: 128,
        stride: 1,
    },
    TimeConvolution {
        name: "conv2",
        inputs: 128,
        outputs: 64,
        stride: 2,
    },
    TimeConvolution {
        name: "conv3",
        inputs: 64,
        outputs: 64,
        stride: 2,
    },
    TimeConvolution {
        name: "conv4",
        inputs: 64,
        outputs: UNITS,
        stride: 1,
    },
];
