//! Boxes of HEIC and AVIF files that say how the picture is displayed: its size, turn, mirror and colours (ISO/IEC
//! 23008-12).

use image::{DynamicImage, metadata::Orientation};

/// How the main picture of a file is displayed.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Display {
    /// Width and height in pixels, before it is turned.
    pub(super) size: Option<(u32, u32)>,
    /// Turns and mirrors, in their order.
    turns: Vec<Orientation>,
    /// The ICC profile of its colours.
    pub(super) profile: Option<Vec<u8>>,
}

impl Display {
    /// What the boxes of a file say; nothing where they are missing or malformed.
    pub(super) fn read(bytes: &[u8]) -> Self {
        properties(bytes).map_or_else(Self::default, |properties| {
            let mut display = Self::default();
            for (name, content) in properties {
                display.add(name, content);
            }
            display
        })
    }

    fn add(&mut self, name: [u8; 4], content: &[u8]) {
        match (&name, content) {
            (b"ispe", [_, _, _, _, size @ ..]) => {
                self.size = number(size, 4).zip(size.get(4..).and_then(|height| number(height, 4)));
            }
            (b"irot", [angle, ..]) => self.turns.push(match angle & 3 {
                0 => Orientation::NoTransforms,
                1 => Orientation::Rotate270,
                2 => Orientation::Rotate180,
                _ => Orientation::Rotate90,
            }),
            (b"imir", [axis, ..]) => self.turns.push(match axis & 1 {
                0 => Orientation::FlipVertical,
                _ => Orientation::FlipHorizontal,
            }),
            (b"colr", [b'p', b'r', b'o', b'f', profile @ ..])
            | (b"colr", [b'r', b'I', b'C', b'C', profile @ ..]) => {
                self.profile = Some(profile.to_owned());
            }
            _ => {}
        }
    }

    /// Turns and mirrors a picture.
    pub(super) fn turn(&self, picture: &mut DynamicImage) {
        for turn in &self.turns {
            picture.apply_orientation(*turn);
        }
    }
}

/// A box's name, its content, and what follows it.
pub(super) fn split_box(bytes: &[u8]) -> Option<([u8; 4], &[u8], &[u8])> {
    let size = number(bytes, 4)?;
    let name: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
    let (header, end) = match size {
        0 => (8, bytes.len()),
        1 => {
            let size = u64::from_be_bytes(bytes.get(8..16)?.try_into().ok()?);
            (16, usize::try_from(size).ok()?)
        }
        _ => (8, usize::try_from(size).ok()?),
    };
    let content = bytes.get(header..end)?;
    Some((name, content, &bytes[end..]))
}

fn boxes(bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (name, content, after) = split_box(rest)?;
        rest = after;
        Some((name, content))
    })
}

fn find<'a>(bytes: &'a [u8], wanted: &[u8; 4]) -> Option<&'a [u8]> {
    let mut found = boxes(bytes).filter(|(name, _)| name == wanted);
    found.next().map(|(_, content)| content)
}

/// The properties of the main picture, in the order in which they apply.
fn properties(bytes: &[u8]) -> Option<Vec<([u8; 4], &[u8])>> {
    let meta = find(bytes, b"meta")?.get(4..)?;
    let main = find(meta, b"pitm")?;
    let main = number(main.get(4..)?, if main.first()? == &0 { 2 } else { 4 })?;
    let properties = find(meta, b"iprp")?;
    let all: Vec<_> = boxes(find(properties, b"ipco")?).collect();
    let indices = associated(find(properties, b"ipma")?, main)?;
    let chosen = indices.into_iter().filter_map(|index| {
        // They are counted from one; zero stands for none.
        all.get(index.checked_sub(1)?).copied()
    });
    Some(chosen.collect())
}

/// Which properties an item has.
fn associated(table: &[u8], item: u32) -> Option<Vec<usize>> {
    let [version, _, _, flags, rest @ ..] = table else {
        return None;
    };
    let (name_bytes, index_bytes) = (
        if *version == 0 { 2 } else { 4 },
        if flags & 1 == 0 { 1 } else { 2 },
    );
    let entries = number(rest, 4)?;
    let mut rest = rest.get(4..)?;
    for _ in 0..entries {
        let name = number(rest, name_bytes)?;
        let count = usize::from(*rest.get(name_bytes)?);
        let indices = rest.get(name_bytes + 1..)?;
        rest = indices.get(count * index_bytes..)?;
        if name == item {
            let indices = indices.chunks_exact(index_bytes).take(count);
            // The highest bit says that the property must be understood.
            let mask = if index_bytes == 1 { 0x7F } else { 0x7FFF };
            return indices
                .map(|index| usize::try_from(number(index, index_bytes)? & mask).ok())
                .collect();
        }
    }
    None
}

/// The number in the first bytes.
fn number(bytes: &[u8], count: usize) -> Option<u32> {
    let bytes = bytes.get(..count)?;
    Some(
        bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u32::from(*byte)),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn boxed(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let size = u32::try_from(content.len() + 8).expect("small");
        [&size.to_be_bytes(), &name[..], content].concat()
    }

    /// The header of a HEIC file with one picture of 6x4 pixels, turned by `angle` quarters against the clock.
    pub(in crate::picture) fn heic(angle: u8) -> Vec<u8> {
        let properties = [
            boxed(b"ispe", &[0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 9]),
            boxed(b"ispe", &[0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 4]),
            boxed(b"colr", b"profICC"),
            boxed(b"irot", &[angle]),
            boxed(b"imir", &[1]),
        ]
        .concat();
        // Two items: the first has the first property, the second the others.
        let table = [
            &[0, 0, 0, 0, 0, 0, 0, 2][..],
            &[0, 1, 1, 1],
            &[0, 2, 4, 2, 3, 0x84, 5],
        ]
        .concat();
        let meta = [
            vec![0; 4],
            boxed(b"pitm", &[0, 0, 0, 0, 0, 2]),
            boxed(
                b"iprp",
                &[boxed(b"ipco", &properties), boxed(b"ipma", &table)].concat(),
            ),
        ]
        .concat();
        [
            boxed(b"ftyp", b"heic\0\0\0\0mif1heic"),
            boxed(b"meta", &meta),
        ]
        .concat()
    }

    #[test]
    fn size_turn_and_colours_are_those_of_the_main_picture() {
        let display = Display::read(&heic(3));
        assert_eq!(display.size, Some((6, 4)));
        assert_eq!(display.profile.as_deref(), Some(&b"ICC"[..]));
        assert_eq!(
            display.turns,
            [Orientation::Rotate90, Orientation::FlipHorizontal]
        );
    }

    #[test]
    fn every_cut_is_read_without_a_panic() {
        let whole = heic(1);
        for length in 0..whole.len() {
            assert_eq!(Display::read(&whole[..length]), Display::default());
        }
    }
}
