//! Damaged pictures.

use affectlens_fuzz::Target;

use super::*;

/// Pictures with more pixels than this are not decoded here: their memory is what their size promises.
const MOST_PIXELS: u64 = 1 << 20;

/// A picture with and one without opacity, of 9x7 pixels.
fn pictures() -> [DynamicImage; 3] {
    let level = |x: u32, y: u32| u8::try_from(x * 20 + y).expect("small");
    [
        RgbImage::from_fn(9, 7, |x, y| Rgb([level(x, y), 0, level(y, x)])).into(),
        RgbaImage::from_fn(9, 7, |x, y| Rgba([level(x, y), 0, 9, level(y, x)])).into(),
        GrayImage::from_fn(9, 7, |x, y| Luma([level(x, y)])).into(),
    ]
}

fn decode(bytes: &[u8]) -> Result<(), String> {
    let kind = Kind::of(bytes).ok_or("no picture")?;
    let Some(format) = kind
        .format()
        .or((kind == Kind::Jpeg).then_some(ImageFormat::Jpeg))
    else {
        return Err("a picture for ffmpeg".to_owned());
    };
    if kind == Kind::Tiff {
        tiff::expect_values_within(bytes).map_err(|fault| fault.to_string())?;
    }
    let size = image::ImageReader::with_format(Cursor::new(bytes), format).into_dimensions();
    if size.is_ok_and(|(width, height)| u64::from(width) * u64::from(height) > MOST_PIXELS) {
        return Err("a large picture".to_owned());
    }
    let fault = |fault: PictureFault| fault.to_string();
    ending::expect_whole(kind, bytes).map_err(fault)?;
    let stored = match kind {
        Kind::Jpeg => jpeg::decode(bytes),
        _ => stored::decode_natively(kind, format, bytes),
    };
    to_frame(stored.map_err(fault)?).map(drop).map_err(fault)
}

fn run(name: &'static str, format: ImageFormat, words: &[&[u8]]) {
    let seeds: Vec<Vec<u8>> = pictures()
        .iter()
        .filter_map(|picture| {
            let mut bytes = Cursor::new(Vec::new());
            // Not every format has every kind of pixel.
            picture.write_to(&mut bytes, format).ok()?;
            Some(bytes.into_inner())
        })
        .collect();
    Target::new(name, &seeds).words(words).run(decode);
}

#[test]
fn fuzz_bmp() {
    run("bmp", ImageFormat::Bmp, &[b"\x28\0\0\0", b"\x7c\0\0\0"]);
}

#[test]
fn fuzz_gif() {
    run(
        "gif",
        ImageFormat::Gif,
        &[b"\x21\xf9\x04", b"\x2c\0\0\0\0", b"\x3b"],
    );
}

#[test]
fn fuzz_jpeg() {
    let words: [&[u8]; 7] = [
        b"\xff\xc2",
        b"\xff\xc4",
        b"\xff\xda",
        b"\xff\xe1\0\x20Exif\0\0",
        b"\xff\xe2\0\x20ICC_PROFILE\0\x01\x01",
        b"\xff\xeeAdobe",
        b"\xff\xd9",
    ];
    run("jpeg", ImageFormat::Jpeg, &words);
}

#[test]
fn fuzz_png() {
    run(
        "png",
        ImageFormat::Png,
        &[b"IDAT", b"PLTE", b"tRNS", b"iCCP"],
    );
}

/// With sums of chunks that are right, so that what is damaged is read.
#[test]
fn fuzz_chunks_of_png() {
    const SIGNATURE: usize = 8;
    let seeds = pictures().map(|picture| encoded(&picture, ImageFormat::Png));
    let words: [&[u8]; 8] = [
        b"IDAT", b"PLTE", b"tRNS", b"iCCP", b"cHRM", b"gAMA", b"eXIf", b"acTL",
    ];
    Target::new("png chunks", &seeds)
        .words(&words)
        .run(|bytes| {
            let mut bytes = bytes.to_vec();
            let mut place = SIGNATURE;
            while let Some(&[a, b, c, d]) = bytes.get(place..).and_then(|rest| rest.first_chunk()) {
                let length = u32::from_be_bytes([a, b, c, d]) as usize;
                let end = place.saturating_add(length).saturating_add(8);
                let Some(content) = bytes.get(place + 4..end) else {
                    break;
                };
                let sum = checksum(content).to_be_bytes();
                let Some(stored) = bytes.get_mut(end..end + 4) else {
                    break;
                };
                stored.copy_from_slice(&sum);
                place = end + 4;
            }
            decode(&bytes)
        });
}

/// CRC-32 as PNG has it (ISO 3309).
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg())
        })
    })
}

#[test]
fn fuzz_tiff() {
    run(
        "tiff",
        ImageFormat::Tiff,
        &[
            b"\x11\x01\x04\0",
            b"\x73\x87\x07\0",
            b"II+\0\x08\0\0\0",
            b"MM\0*",
        ],
    );
}

#[test]
fn fuzz_webp() {
    run(
        "webp",
        ImageFormat::WebP,
        &[
            b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANMF", b"EXIF", b"ICCP",
        ],
    );
}

#[test]
fn a_frame_that_is_larger_than_its_animation_takes_no_memory() {
    let [picture, ..] = pictures();
    let mut bytes = encoded(&picture, ImageFormat::Gif);
    let descriptor = [b"\x2c\0\0\0\0", &[9, 0, 7, 0][..]].concat();
    let place = bytes
        .windows(descriptor.len())
        .position(|window| window == descriptor);
    let place = place.expect("the frame has the picture's sides") + 5;
    bytes[place..place + 4].copy_from_slice(&[0, 64, 0, 64]);
    let fault = decode(&bytes).expect_err("16,384 pixels a side in a picture of 9x7");
    assert!(fault.starts_with("damaged GIF: "), "{fault}");
}

/// Its decoder makes room for the values of a tag before it reads them.
#[test]
fn tags_of_a_tiff_promise_no_more_values_than_the_file_has_bytes() {
    let [picture, ..] = pictures();
    let whole = encoded(&picture, ImageFormat::Tiff);
    decode(&whole).expect("whole");
    for tag in [258_u16, 273, 279] {
        let start = [&tag.to_le_bytes()[..]].concat();
        let entry = whole.windows(2).rposition(|window| window == start);
        let entry = entry.expect("every picture has the tag");
        for count in [10_000_000_u32, u32::MAX] {
            let mut bytes = whole.clone();
            bytes[entry + 4..entry + 8].copy_from_slice(&count.to_le_bytes());
            let fault = decode(&bytes).expect_err("no file of its size has so many");
            let named = format!("damaged TIFF: its tag {tag} has {count} values, expected at most");
            assert!(fault.starts_with(&named), "{fault}");
        }
    }
}
