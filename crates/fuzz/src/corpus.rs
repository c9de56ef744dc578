//! Inputs that others are made of, and what is known about how readers take them.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Most inputs that are kept beside the seeds.
const MOST_KEPT: usize = 1024;

/// Seeds, and inputs that were taken in a way of their own.
#[derive(Debug)]
pub(crate) struct Corpus {
    pub(crate) inputs: Vec<Vec<u8>>,
    seeds: usize,
    outcomes: HashSet<u64>,
}

impl Corpus {
    pub(crate) fn of(seeds: Vec<Vec<u8>>) -> Self {
        Self {
            seeds: seeds.len(),
            inputs: seeds,
            outcomes: HashSet::new(),
        }
    }

    /// Keeps an input whose outcome is new.
    pub(crate) fn learn(&mut self, input: &[u8], outcome: Option<&str>) {
        let is_new = self.outcomes.insert(kind_of(outcome));
        if is_new && self.inputs.len() < self.seeds + MOST_KEPT {
            self.inputs.push(input.to_vec());
        }
    }

    /// Number of different outcomes.
    pub(crate) fn outcomes(&self) -> usize {
        self.outcomes.len()
    }
}

/// What a refusal says without the numbers and the quoted words in it.
fn kind_of(outcome: Option<&str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    outcome.is_some().hash(&mut hasher);
    for (place, piece) in outcome.unwrap_or_default().split('`').enumerate() {
        if place % 2 == 0 {
            for byte in piece.bytes().filter(|byte| !byte.is_ascii_digit()) {
                hasher.write_u8(byte);
            }
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_kept_if_its_outcome_is_new() {
        let mut corpus = Corpus::of(vec![vec![0]]);
        for (input, outcome) in [
            (1, Some("line 1: expected a number, got `a`")),
            (2, Some("line 20: expected a number, got `b`")),
            (3, None),
            (4, Some("line 1: expected a name")),
            (5, None),
        ] {
            corpus.learn(&[input], outcome);
        }
        assert_eq!(corpus.inputs, [[0], [1], [3], [4]]);
        assert_eq!(corpus.outcomes(), 3);
    }
}
