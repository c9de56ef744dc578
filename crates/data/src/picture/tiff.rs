//! How many values the tags of a TIFF promise, before a decoder makes room for them.

use super::{Kind, PictureFault};

/// More values than any tag of a picture has that is read here: the strips of the tallest picture are fewer.
const MOST_VALUES: u64 = 1 << 20;
/// Tags from here on are those of makers, with texts and pictures of any length, which no decoder reads,
const FIRST_PRIVATE: u16 = 32_768;
/// but for the ICC profile.
const COLOUR_PROFILE: u16 = 34_675;
/// A text of any length about the picture (XMP), not read either.
const DESCRIPTION: u16 = 700;

/// Refuses a TIFF of few bytes that makes its decoder take much memory: values of a tag must lie within the file, and be
/// no more than a picture needs. What has no first directory is left to the decoder's own message.
///
/// # Errors
///
/// Names the tag and its number of values.
pub(super) fn expect_values_within(bytes: &[u8]) -> Result<(), PictureFault> {
    let Some(entries) = Directory::first(bytes) else {
        return Ok(());
    };
    for Entry { tag, kind, count } in entries {
        let is_read = (tag < FIRST_PRIVATE && tag != DESCRIPTION) || tag == COLOUR_PROFILE;
        let Some(size) = size_of(kind).filter(|_| is_read) else {
            continue;
        };
        let most = MOST_VALUES.min((bytes.len() as u64).div_ceil(size));
        if count > most {
            return Err(PictureFault::Damaged {
                kind: Kind::Tiff.name(),
                reason: format!(
                    "its tag {tag} has {count} values, expected at most {most} in a file of {} bytes",
                    bytes.len()
                ),
            });
        }
    }
    Ok(())
}

/// Bytes a value of a type; `None` for types that the format does not have.
fn size_of(kind: u16) -> Option<u64> {
    match kind {
        1 | 2 | 6 | 7 => Some(1),
        3 | 8 => Some(2),
        4 | 9 | 11 | 13 => Some(4),
        5 | 10 | 12 | 16..=18 => Some(8),
        _ => None,
    }
}

struct Entry {
    tag: u16,
    kind: u16,
    /// Number of values.
    count: u64,
}

/// The entries of a directory that lie within the file.
struct Directory<'bytes> {
    bytes: &'bytes [u8],
    is_little_endian: bool,
    /// With 64 bits for places and numbers (BigTIFF) instead of 32.
    is_big: bool,
    place: usize,
    left: u64,
}

impl<'bytes> Directory<'bytes> {
    fn first(bytes: &'bytes [u8]) -> Option<Self> {
        let mut directory = Self {
            bytes,
            is_little_endian: bytes.starts_with(b"II"),
            is_big: false,
            place: 2,
            left: 0,
        };
        directory.is_big = directory.number(2)? == 43;
        // Before the place of the directory BigTIFF says how long places are.
        directory.place = if directory.is_big { 8 } else { 4 };
        let place = directory.long()?;
        directory.place = usize::try_from(place).ok()?;
        directory.left = directory.number(if directory.is_big { 8 } else { 2 })?;
        Some(directory)
    }

    /// A number for a place or a count.
    fn long(&mut self) -> Option<u64> {
        self.number(if self.is_big { 8 } else { 4 })
    }

    fn short(&mut self) -> Option<u16> {
        u16::try_from(self.number(2)?).ok()
    }

    /// The next number, of so many bytes.
    fn number(&mut self, length: usize) -> Option<u64> {
        let end = self.place.checked_add(length)?;
        let bytes = self.bytes.get(self.place..end)?;
        self.place = end;
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if self.is_little_endian {
            bytes.iter().rev().fold(0, add)
        } else {
            bytes.iter().fold(0, add)
        })
    }
}

impl Iterator for Directory<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        self.left = self.left.checked_sub(1)?;
        let [tag, kind] = [self.short()?, self.short()?];
        let count = self.long()?;
        // The values, or the place where they are.
        self.long()?;
        Some(Entry { tag, kind, count })
    }
}
