//! Tests of the command `affectlens`, in one binary.

mod affwild2;
mod attacks;
mod audio;
mod clip_transformers;
mod clips;
mod extract;
mod folders;
mod lists;
mod pictures;
mod pose;
mod run;
#[path = "../../../../tests/seeded/mod.rs"]
mod seeded;
#[path = "../../../../tests/seeded/sound.rs"]
mod sound;
mod speech;
mod together;
mod train;
mod two_streams;
mod usage;
mod violence;
mod violence_clips;
mod weights;
