//! Tests of the engine, in one binary.
#![expect(
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    reason = "reference values are made in f64; what was measured is printed"
)]

mod audio;
mod backbones;
mod baseline;
mod clip_transformers;
mod clips;
mod crop;
mod detect;
mod kernels;
mod landmarks;
mod layering;
mod lens;
mod mobilevit;
mod names;
mod optical_flow;
mod personal;
mod pipeline;
mod pose;
mod second_stream;
#[path = "../seeded/mod.rs"]
mod seeded;
#[path = "../seeded/sound.rs"]
mod sound;
mod streams;
mod temporal;
mod trainable;
mod voice;
