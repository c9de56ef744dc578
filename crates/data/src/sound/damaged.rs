//! Damaged WAV files.

use affectlens_fuzz::Target;
use hound::{SampleFormat, WavSpec, WavWriter};

use super::wav::WavSound;
use crate::damaged::with_file;

/// Samples that are asked for together.
const PIECE: usize = 1 << 16;

fn wav(channels: u16, sample_rate: u32, bits_per_sample: u16) -> Vec<u8> {
    let spec = WavSpec {
        channels,
        sample_rate,
        bits_per_sample,
        sample_format: SampleFormat::Int,
    };
    let mut file = std::io::Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut file, spec).expect("in memory");
    for sample in 0..120 {
        writer.write_sample(sample - 60).expect("in memory");
    }
    writer.finalize().expect("in memory");
    file.into_inner()
}

#[test]
fn fuzz_wav() {
    let seeds = [wav(1, 16_000, 16), wav(2, 8_000, 24), wav(1, 44_100, 8)];
    let words: [&[u8]; 6] = [b"fmt ", b"data", b"LIST", b"fact", b"\x03\0", b"\xfe\xff"];
    Target::new("wav", &seeds).words(&words).run(|bytes| {
        with_file(bytes, |path| {
            let opened = WavSound::open(path).map_err(|error| error.to_string())?;
            let Some(mut sound) = opened else {
                return Err("left to ffmpeg".to_owned());
            };
            while !sound.read(PIECE)?.is_empty() {}
            Ok(())
        })
    });
}
