//! Damage to files: bits, lengths, pieces, words of the format.

use crate::random::Random;

/// Most changes that are made to one input.
const MOST_CHANGES: usize = 8;
/// Longest piece that is inserted at once.
const MOST_INSERTED: usize = 1024;
/// Numbers that lengths and counts are often not prepared for.
const EXTREMES: [u64; 24] = [
    0,
    1,
    2,
    7,
    16,
    63,
    127,
    128,
    255,
    256,
    4_095,
    4_097,
    32_767,
    32_768,
    65_535,
    65_536,
    1 << 20,
    1 << 28,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    1 << 62,
    (1 << 63) - 1,
    u64::MAX,
];
/// The same in text.
const NUMBERS: [&str; 18] = [
    "0",
    "1",
    "-1",
    "-0",
    "2",
    "007",
    "255",
    "65536",
    "1048577",
    "2147483648",
    "4294967296",
    "9007199254740993",
    "18446744073709551615",
    "18446744073709551616",
    "1e400",
    "-1e-400",
    "NaN",
    "inf",
];

/// Makes inputs out of others.
#[derive(Debug)]
pub(crate) struct Mutation {
    /// Words of the format.
    pub(crate) words: Vec<Vec<u8>>,
    /// Longest input that is made.
    pub(crate) longest: usize,
}

impl Mutation {
    /// Puts a damaged copy of one of the inputs into `made`.
    pub(crate) fn make(&self, random: &mut Random, inputs: &[Vec<u8>], made: &mut Vec<u8>) {
        made.clear();
        made.extend(random.one_of(inputs));
        // Few changes are most likely: every change makes it less of a file.
        let changes = 1 + random.bits().trailing_zeros() as usize;
        for _ in 0..changes.min(MOST_CHANGES) {
            self.change(random, inputs, made);
        }
        made.truncate(self.longest);
    }

    fn change(&self, random: &mut Random, inputs: &[Vec<u8>], made: &mut Vec<u8>) {
        let place = random.below(made.len());
        match random.below(16) {
            0 | 1 if !made.is_empty() => made[place] ^= 1 << random.below(8),
            2 if !made.is_empty() => made[place] = random.byte(),
            3 | 4 => {
                let extreme = *random.one_of(&EXTREMES);
                write_number(random, made, place, |_| extreme);
            }
            5 => {
                let by = random.below(33) as u64;
                write_number(random, made, place, |number| {
                    number.wrapping_add(by).wrapping_sub(16)
                });
            }
            6 => {
                // What a length in the file may say about the file.
                let length = made.len() as u64;
                write_number(random, made, place, |_| length);
            }
            7 => drop(made.drain(piece(random, made.len()))),
            8 => {
                let copied = made[piece(random, made.len())].to_vec();
                insert(made, place, &copied);
            }
            9 => {
                let copied = made[piece(random, made.len())].to_vec();
                overwrite(made, place, &copied);
            }
            10 | 11 if !self.words.is_empty() => {
                let word = random.one_of(&self.words);
                match random.below(2) {
                    0 => insert(made, place, word),
                    _ => overwrite(made, place, word),
                }
            }
            12 => {
                let other = random.one_of(inputs);
                let from = random.below(other.len());
                made.truncate(place);
                made.extend(&other[from..]);
            }
            13 => made.truncate(place),
            14 => replace_number(random, made),
            _ => {
                let run = vec![random.byte(); 1 + random.below(MOST_INSERTED)];
                match random.below(2) {
                    0 => insert(made, place, &run),
                    _ => overwrite(made, place, &run[..run.len().min(16)]),
                }
            }
        }
    }
}

/// A range within a length; short ones are likelier.
fn piece(random: &mut Random, length: usize) -> std::ops::Range<usize> {
    let start = random.below(length);
    let most = (length - start).min(1 << random.below(12));
    start..start + random.below(most + 1)
}

fn insert(made: &mut Vec<u8>, place: usize, bytes: &[u8]) {
    made.splice(place..place, bytes.iter().copied());
}

fn overwrite(made: &mut [u8], place: usize, bytes: &[u8]) {
    let rest = &mut made[place..];
    let length = rest.len().min(bytes.len());
    rest[..length].copy_from_slice(&bytes[..length]);
}

/// Changes a number of 1, 2, 4 or 8 bytes, of either order.
fn write_number(random: &mut Random, made: &mut [u8], place: usize, of: impl Fn(u64) -> u64) {
    let size = 1 << random.below(4);
    let is_big_endian = random.below(4) == 0;
    // Numbers lie on multiples of their size more often than not.
    let place = match random.below(2) {
        0 => place,
        _ => place / size * size,
    };
    let Some(bytes) = made.get_mut(place..place + size) else {
        return;
    };
    let mut number = [0; 8];
    number[..size].copy_from_slice(bytes);
    if is_big_endian {
        number[..size].reverse();
    }
    let mut number = of(u64::from_le_bytes(number)).to_le_bytes();
    if is_big_endian {
        number[..size].reverse();
    }
    bytes.copy_from_slice(&number[..size]);
}

/// Puts another number in the place of one that is written in digits.
fn replace_number(random: &mut Random, made: &mut Vec<u8>) {
    let from = random.below(made.len());
    let is_digit = |place: usize| made.get(place).is_some_and(u8::is_ascii_digit);
    let Some(start) = (from..made.len()).find(|&place| is_digit(place)) else {
        return;
    };
    let end = (start..).find(|&place| !is_digit(place)).unwrap_or(start);
    let number = random.one_of(&NUMBERS);
    made.splice(start..end, number.bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_damaged_in_many_ways_and_stay_short() {
        let mutation = Mutation {
            words: vec![b"word".to_vec()],
            longest: 64,
        };
        let inputs = [b"a 12 of bytes".to_vec(), Vec::new()];
        let mut random = Random::new(1);
        let mut made = Vec::new();
        let mut all = std::collections::HashSet::new();
        for _ in 0..10_000 {
            mutation.make(&mut random, &inputs, &mut made);
            assert!(made.len() <= 64);
            all.insert(made.clone());
        }
        assert!(all.len() > 3_000, "{} different ones", all.len());
        for expected in [&b"a 12 of byte"[..], b"word", b"a 65536 of bytes", b""] {
            assert!(all.contains(expected), "{}", expected.escape_ascii());
        }
    }
}
