//! A reader that is run on damaged files.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::corpus::Corpus;
use crate::memory;
use crate::mutation::Mutation;
use crate::random::Random;
use crate::watch::Watch;

/// Longest that an input may take of a processor.
const MOST_TIME: Duration = Duration::from_secs(1);
/// Tries of an input that takes longer: something else may have been in its way.
const TRIES: usize = 3;
/// Memory for each byte of the input, and beside it.
const BYTES_FOR_BYTE: usize = 4;
const BYTES_FOR_ANY: usize = 64 << 20;
/// Bytes that inputs have more than the longest seed, at most.
const MOST_ADDED: usize = 4096;
/// Executions between two looks at the clock.
const ROUND: u32 = 16;

/// A reader's name, its seeds, and its bounds.
#[derive(Debug)]
pub struct Target {
    name: &'static str,
    seeds: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
    memory: usize,
}

impl Target {
    /// A reader of files like the seeds, of which there must be one. It may take 4 bytes of memory for each of its input,
    /// and 64 MiB.
    pub fn new<S: AsRef<[u8]>>(name: &'static str, seeds: &[S]) -> Self {
        Self {
            name,
            seeds: seeds.iter().map(|seed| seed.as_ref().to_vec()).collect(),
            words: Vec::new(),
            memory: BYTES_FOR_ANY,
        }
    }

    /// Words of the format, which are put into inputs.
    #[must_use]
    pub fn words<W: AsRef<[u8]>>(mut self, words: &[W]) -> Self {
        self.words = words.iter().map(|word| word.as_ref().to_vec()).collect();
        self
    }

    /// Memory that the reader may take beside 4 bytes for each of its input, where that is not 64 MiB.
    #[must_use]
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    /// Runs the reader on damaged seeds for the time that the environment says.
    ///
    /// # Panics
    ///
    /// If the reader panics or takes too long; the message names a file with the input. A reader that takes too much memory
    /// or hangs ends the program.
    pub fn run<T, E: Display>(self, read: impl Fn(&[u8]) -> Result<T, E>) {
        let watch = Watch::over(self.name);
        let running = watch.0;
        let try_once = |input: &[u8]| {
            running.next(input);
            memory::allow(input.len().saturating_mul(BYTES_FOR_BYTE) + self.memory);
            let start = Instant::now();
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                read(input).err().map(|error| error.to_string())
            }));
            let time = start.elapsed();
            memory::allow_all();
            let outcome = outcome.unwrap_or_else(|panic| {
                let path = running.keep();
                eprintln!("{}: an input panics: `{}`", self.name, path.display());
                resume_unwind(panic)
            });
            (outcome, time)
        };
        let execute = |input: &[u8]| {
            let (outcome, time) = try_once(input);
            if time > MOST_TIME {
                let again = (1..TRIES).map(|_| {
                    let start = processor_time();
                    let (_, time) = try_once(input);
                    let spent = start.zip(processor_time());
                    spent.map_or(time, |(start, end)| end.saturating_sub(start))
                });
                if again.min() > Some(MOST_TIME) {
                    let path = running.keep();
                    panic!("{}: takes {time:?}: `{}`", self.name, path.display());
                }
            }
            outcome
        };
        if let Some(path) = std::env::var_os("AFFECTLENS_FUZZ_INPUT") {
            let input = std::fs::read(&path).expect("the file of AFFECTLENS_FUZZ_INPUT");
            let outcome = execute(&input);
            eprintln!("{}: {}", self.name, outcome.as_deref().unwrap_or("is read"));
            return;
        }
        let longest = self.seeds.iter().map(Vec::len).max().expect("a seed");
        let mutation = Mutation {
            words: self.words.clone(),
            longest: 2 * longest + MOST_ADDED,
        };
        let mut corpus = Corpus::of(self.seeds.clone());
        for seed in &self.seeds {
            corpus.learn(seed, execute(seed).as_deref());
        }
        let mut random = Random::new(number_of("AFFECTLENS_FUZZ_SEED").unwrap_or(1));
        let most = Duration::from_secs(number_of("AFFECTLENS_FUZZ_SECONDS").unwrap_or(1));
        let start = Instant::now();
        let mut input = Vec::new();
        while start.elapsed() < most {
            for _ in 0..ROUND {
                mutation.make(&mut random, &corpus.inputs, &mut input);
                let outcome = execute(&input);
                corpus.learn(&input, outcome.as_deref());
            }
        }
        eprintln!(
            "{}: {} executions in {} s, {} outcomes",
            self.name,
            running.executions.load(Ordering::Relaxed),
            start.elapsed().as_secs(),
            corpus.outcomes()
        );
    }
}

/// Time that this thread has had a processor for, where the system says it.
fn processor_time() -> Option<Duration> {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = spent.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// A number in a variable of the environment; none if there is no such variable.
fn number_of(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} is `{text}`, expected a number")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_behind_two_conditions_is_found() {
        let found = catch_unwind(|| {
            Target::new("conditions", &[b"0000"]).run(|bytes| match *bytes {
                [255, 254, ..] => panic!("found"),
                [255, ..] => Err("half of it"),
                _ => Ok(()),
            });
        });
        let found = found.expect_err("a second is enough");
        assert_eq!(found.downcast_ref(), Some(&"found"));
    }
}
