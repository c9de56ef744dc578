//! Runs a reader on damaged files and watches it: no panic, no memory beyond 4 times the input and 64 MiB, no input that
//! takes more than a second.
//!
//! A [`Target`] has small valid files as seeds. Each execution damages one of them and gives it to the reader; an input that
//! is refused in a way not seen before becomes a seed itself, so that the damage goes deeper with time. Nothing depends on a
//! compiler's instrumentation: targets are tests of stable Rust in the profile of all tests.
//!
//! ```no_run
//! #[global_allocator]
//! static MEMORY: affectlens_fuzz::CountedMemory = affectlens_fuzz::CountedMemory;
//!
//! affectlens_fuzz::Target::new("number", &[b"12"]).run(|bytes| {
//!     String::from_utf8_lossy(bytes).parse::<i32>()
//! });
//! ```
//!
//! | variable | |
//! |---|---|
//! | `AFFECTLENS_FUZZ_SECONDS` | how long each target runs; one second if there is none |
//! | `AFFECTLENS_FUZZ_SEED` | where the random numbers begin; a fixed place if there is none |
//! | `AFFECTLENS_FUZZ_INPUT` | a file that is read instead, once: what a failure has left |

mod corpus;
mod memory;
mod mutation;
mod random;
mod target;
mod watch;

pub use memory::CountedMemory;
pub use random::Random;
pub use target::Target;
