//! Kinds of pictures that only ffmpeg reads.

use image::ImageFormat;

use super::{Folder, assert_upright, encoded, stored};
use crate::picture::{heif, read_picture};

#[test]
#[ignore = "needs ffmpeg: run cargo xtask test"]
fn heic_that_ffmpeg_cannot_read_is_said_plainly() {
    let message = Folder::new().fault("a.heic", &heif::tests::heic(0));
    assert!(
        message.contains("a.heic`: a HEIC picture, which the installed ffmpeg "),
        "{message}"
    );
    assert!(
        message.ends_with("; convert it to JPEG or PNG first"),
        "{message}"
    );
}

#[test]
#[ignore = "needs ffmpeg with libaom: run cargo xtask test"]
fn avif_is_read_and_turned() {
    let folder = Folder::new();
    let png = folder.keep("a.png", &encoded(&stored(1).into(), ImageFormat::Png));
    let avif = folder.0.path().join("a.avif");
    let done = std::process::Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(&png)
        .args(["-c:v", "libaom-av1", "-still-picture", "1", "-crf", "1"])
        .args(["-pix_fmt", "yuv444p"])
        .arg(&avif)
        .status()
        .expect("ffmpeg starts");
    assert!(done.success());
    assert_upright(&read_picture(&avif).expect("an AVIF"), "avif");
}
