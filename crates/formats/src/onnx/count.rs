//! What a model would take in memory, counted before it is decoded: an empty node is two bytes in a file and a hundred in
//! memory.

use super::FORMAT;
use crate::budget::Budget;
use crate::element::malformed;
use crate::error::WeightsError;

/// Bytes that a decoded message takes besides what it holds, roomily: nodes, attributes and tensors are of that size.
const MESSAGE_BYTES: usize = 256;
/// Bytes that a decoded text takes besides its letters.
const TEXT_BYTES: usize = size_of::<String>();
/// Bytes of a decoded number.
const NUMBER_BYTES: usize = 8;
/// Most messages, texts and lone numbers of a model. The largest network here has under 100,000.
const MAX_ENTRIES: usize = 1 << 20;

/// Messages that are decoded, as `onnx.proto` nests them.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
}

/// What a field of a message is.
enum Part {
    Message(Message),
    /// Sizes of something, at least one byte each: there are never many of them.
    Sizes,
    /// Values of a tensor, with the memory that a byte of them takes at most. Lists grow by doubling.
    Values(usize),
    /// Bytes or letters.
    Text,
    /// It is skipped.
    Unknown,
}

impl Message {
    fn part(self, field: u64) -> Part {
        match (self, field) {
            (Self::Model, 7) => Part::Message(Self::Graph),
            (Self::Graph, 1) => Part::Message(Self::Node),
            (Self::Graph, 5) | (Self::Attribute, 5) => Part::Message(Self::Tensor),
            (Self::Node, 5) => Part::Message(Self::Attribute),
            (Self::Node, 1..=4) | (Self::Attribute, 1 | 4) | (Self::Tensor, 8 | 9) => Part::Text,
            (Self::Attribute, 7 | 8) | (Self::Tensor, 1) => Part::Sizes,
            (Self::Tensor, 4 | 10) => Part::Values(2),
            (Self::Tensor, 5) => Part::Values(8),
            _ => Part::Unknown,
        }
    }
}

/// Confirms that a model can be decoded within the budget of its file.
///
/// # Errors
///
/// [`WeightsError::Malformed`] if the bytes are no fields, or would take more.
pub(super) fn count(bytes: &[u8], budget: &Budget) -> Result<(), WeightsError> {
    Count { budget, entries: 0 }.message(Message::Model, bytes)
}

struct Count<'a> {
    budget: &'a Budget,
    entries: usize,
}

impl Count<'_> {
    fn message(&mut self, message: Message, mut bytes: &[u8]) -> Result<(), WeightsError> {
        while !bytes.is_empty() {
            let key = varint(&mut bytes)?;
            let part = message.part(key >> 3);
            let content = match key & 7 {
                0 => {
                    varint(&mut bytes)?;
                    None
                }
                1 => take(&mut bytes, 8).map(|_| None)?,
                5 => take(&mut bytes, 4).map(|_| None)?,
                2 => {
                    let length = varint(&mut bytes)?;
                    Some(take(&mut bytes, length)?)
                }
                kind => return Err(malformed(FORMAT, format!("a field of kind {kind}"))),
            };
            match (part, content) {
                (Part::Message(inner), Some(content)) => {
                    self.entry(MESSAGE_BYTES)?;
                    self.message(inner, content)?;
                }
                (Part::Text, Some(content)) => self.entry(TEXT_BYTES + content.len())?,
                (Part::Values(each), Some(content)) => {
                    self.budget
                        .take(content.len().saturating_mul(each), "its values")?;
                }
                (Part::Sizes, Some(content)) => self.entries(content.len(), NUMBER_BYTES)?,
                (Part::Sizes | Part::Values(_), None) => self.entry(NUMBER_BYTES)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn entry(&mut self, bytes: usize) -> Result<(), WeightsError> {
        self.entries(1, bytes)
    }

    /// Counts entries of so many bytes each.
    fn entries(&mut self, count: usize, bytes: usize) -> Result<(), WeightsError> {
        self.entries = self.entries.saturating_add(count);
        if self.entries > MAX_ENTRIES {
            let reason = format!("more than {MAX_ENTRIES} nodes, names and numbers");
            return Err(malformed(FORMAT, reason));
        }
        self.budget.take(count.saturating_mul(bytes), "its graph")
    }
}

/// A number of seven bits a byte.
fn varint(bytes: &mut &[u8]) -> Result<u64, WeightsError> {
    let mut number = 0;
    for place in 0..10 {
        let byte = take(bytes, 1)?[0];
        number |= u64::from(byte & 0x7F) << (7 * place);
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(malformed(FORMAT, "a number of more than ten bytes"))
}

fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Result<&'a [u8], WeightsError> {
    let length = usize::try_from(length).ok();
    let split = length.and_then(|length| bytes.split_at_checked(length));
    let (taken, rest) = split.ok_or_else(|| malformed(FORMAT, "it is cut off"))?;
    *bytes = rest;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of that number with content.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut length = content.len();
        let mut bytes = vec![number << 3 | 2];
        while length >= 0x80 {
            bytes.push(u8::try_from(length & 0x7F).expect("seven bits") | 0x80);
            length >>= 7;
        }
        bytes.push(u8::try_from(length).expect("seven bits"));
        bytes.extend(content);
        bytes
    }

    fn refusal(model: &[u8]) -> String {
        let budget = Budget::of_file(FORMAT, model.len());
        let error = count(model, &budget).expect_err("must be refused");
        error.to_string()
    }

    #[test]
    fn empty_nodes_and_names_cannot_fill_the_memory() {
        let nodes = field(7, &[0x0A, 0].repeat(1 << 19));
        let most = "bytes of memory, the most for its size";
        assert!(refusal(&nodes).contains(most), "{}", refusal(&nodes));
        let names = field(7, &field(1, &[0x0A, 0].repeat((1 << 20) + 1)));
        let text = refusal(&names);
        assert!(
            text.contains("more than 1048576 nodes, names and numbers"),
            "{text}"
        );
    }

    #[test]
    fn long_shapes_cannot_fill_the_memory() {
        let dims = field(7, &field(5, &field(1, &vec![1; 2 << 20])));
        let text = refusal(&dims);
        assert!(
            text.contains("more than 1048576 nodes, names and numbers"),
            "{text}"
        );
    }

    #[test]
    fn bytes_that_are_no_fields_are_refused() {
        for (bytes, expected) in [
            (&[0x3A][..], "it is cut off"),
            (&[0x3A, 5, 0], "it is cut off"),
            (&[0x80; 11], "a number of more than ten bytes"),
            (&[0x3B], "a field of kind 3"),
        ] {
            let text = refusal(bytes);
            assert_eq!(text, format!("onnx file is malformed: {expected}"));
        }
        count(&[], &Budget::of_file(FORMAT, 0)).expect("nothing");
    }
}
