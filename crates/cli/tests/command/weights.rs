//! `affectlens weights` and `affectlens convert`, as a user runs them.

use std::path::Path;
use std::process::{Command, Output};

use affectlens::weights::{Metadata, Precision, Weights, cache_dir, read_tfjs, weights_path};

use crate::seeded;

fn affectlens(arguments: &[&str], cache: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_affectlens"))
        .args(arguments)
        .env("AFFECTLENS_CACHE", cache)
        .output()
        .expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn an_empty_cache_is_listed_and_fails_to_verify() {
    let cache = tempfile::tempdir().expect("temporary folder");
    let listed = affectlens(&["weights", "list"], cache.path());
    assert!(listed.status.success());
    let listed = text(&listed.stdout);
    assert!(
        listed.contains("faceres (backbone for faces): not installed"),
        "{listed}"
    );
    assert!(listed.contains("licence  Apache-2.0"), "{listed}");
    let verified = affectlens(&["weights", "verify"], cache.path());
    assert_eq!(verified.status.code(), Some(1));
    assert!(text(&verified.stderr).contains("`faceres` is not installed"));
}

#[test]
fn unknown_weights_are_refused_with_the_known_names() {
    let cache = tempfile::tempdir().expect("temporary folder");
    let output = affectlens(&["weights", "fetch", "nothing"], cache.path());
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr).trim(),
        "affectlens: no default weights `nothing` (there are `blazeface-short-range`, `blazeface-full-range`, \
         `face-mesh`, `face-blendshapes`, `faceres`, `efficientnet-lite0`, `silero-vad`, \
         `pose-detector`, `pose-landmarks`, `pose-landmarks-full`, `pose-landmarks-heavy`)"
    );
}

#[test]
fn a_missing_npm_is_named() {
    let cache = tempfile::tempdir().expect("temporary folder");
    let output = Command::new(env!("CARGO_BIN_EXE_affectlens"))
        .args(["weights", "fetch", "faceres"])
        .env("AFFECTLENS_CACHE", cache.path())
        .env("PATH", cache.path())
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(
        error.contains("`npm pack @vladmandic/human@3.3.6"),
        "{error}"
    );
    assert!(error.contains("`npm` is not installed"), "{error}");
}

#[test]
fn a_conversion_that_fails_leaves_the_old_file_alone() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let out = folder.path().join("out.safetensors");
    let input = folder.path().join("in.onnx");
    std::fs::write(&out, b"precious").expect("writable");
    std::fs::write(&input, b"not a model").expect("writable");
    let paths = [input.to_string_lossy(), out.to_string_lossy()];
    let output = affectlens(
        &[
            "convert",
            &paths[0],
            &paths[1],
            "--backbone",
            "emotieffnet-b0",
        ],
        folder.path(),
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("onnx file is malformed: "),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(std::fs::read(&out).expect("still there"), b"precious");
    assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 2);
}

#[test]
fn an_unknown_backbone_and_a_wrong_extension_are_refused() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let output = affectlens(
        &["convert", "a.onnx", "out.safetensors", "--backbone", "vgg"],
        folder.path(),
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr)
            .starts_with("affectlens: no network `vgg` (there are `expression-mobilenet`, ")
    );
    let output = affectlens(
        &["convert", "a.onnx", "out.bin", "--backbone", "faceres"],
        folder.path(),
    );
    assert_eq!(output.status.code(), Some(2));
    let output = affectlens(
        &[
            "convert",
            "a.onnx",
            "out.safetensors",
            "--backbone",
            "faceres",
        ],
        folder.path(),
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).starts_with("affectlens: `a.onnx`: "),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_file_without_a_temporal_head_is_told_so() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let input = folder.path().join("in.safetensors");
    let mut weights = Weights::default();
    weights.insert("a", vec![1], vec![1.0]).expect("one value");
    weights
        .write(&input, Precision::Lossless)
        .expect("writable");
    let input = input.to_string_lossy();
    let arguments = ["convert", &input, "b.safetensors", "--backbone", "faceres"];
    let output = affectlens(
        &[&arguments[..], &["--head", "h.safetensors"]].concat(),
        folder.path(),
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("weight `temporal_head` is missing"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_user_file_in_the_cache_is_listed_with_what_it_says() {
    let cache = tempfile::tempdir().expect("temporary folder");
    std::fs::create_dir(cache.path().join("weights")).expect("writable");
    let mut weights = Weights::new(Metadata {
        architecture: "emotieffnet-b0".to_owned(),
        licence: "Apache-2.0".to_owned(),
        ..Metadata::default()
    });
    weights.insert("a", vec![1], vec![1.0]).expect("one value");
    let path = weights_path(cache.path(), "mine");
    weights.write(&path, Precision::Lossless).expect("writable");
    let listed = text(&affectlens(&["weights"], cache.path()).stdout);
    assert!(
        listed.contains("mine.safetensors (emotieffnet-b0): 1 weights"),
        "{listed}"
    );
    assert!(listed.contains("sha256   unknown"), "{listed}");
}

#[test]
#[ignore = "needs fetched packages: run cargo xtask test"]
fn converting_the_published_files_gives_the_fetched_weights() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let out = folder.path().join("out.safetensors");
    let published = cache_dir().join("published");
    let cases = [
        ("faceres", "faceres.json"),
        ("blazeface-short-range", "face_landmarker.task"),
    ];
    for (name, file) in cases {
        let input = published.join(name).join(file);
        let paths = [input.to_string_lossy(), out.to_string_lossy()];
        let output = affectlens(
            &["convert", &paths[0], &paths[1], "--backbone", name],
            folder.path(),
        );
        assert!(output.status.success(), "{}", text(&output.stderr));
        let mut converted = Weights::read(&out).expect("own file");
        let fetched = Weights::read(&weights_path(&cache_dir(), name)).expect("installed");
        converted.metadata = fetched.metadata.clone();
        // Not `assert_eq!`, which would print millions of numbers.
        assert!(converted == fetched, "{name}: fetch it again");
    }
}

#[test]
fn mobilevit_embeds_the_same_converted_and_as_published() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let [published, converted, face] = ["in.safetensors", "out.safetensors", "a.png"].map(path);
    let weights = seeded::state_dict(&seeded::shapes("mobilevit-xxs"));
    let bytes = weights.to_safetensors(Precision::Single).expect("finite");
    std::fs::write(&published, bytes).expect("writable");
    let picture = image::RgbImage::from_pixel(40, 30, image::Rgb([200, 90, 30]));
    picture.save(&face).expect("writable");
    let run = |arguments: &[&str]| affectlens(arguments, folder.path());
    let name = "mobilevit-xxs";
    let output = run(&["convert", &published, &converted, "--backbone", name]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = [&published, &converted].map(|weights| {
        let output = run(&[
            "embed",
            &face,
            "--backbone",
            name,
            "--weights",
            weights,
            "--device",
            "cpu",
        ]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    });
    assert_eq!(lines[0], lines[1]);
    let line: serde_json::Value = serde_json::from_str(&lines[0]).expect("a line of JSON");
    for (part, count) in [("embedding", 320), ("logits", 10)] {
        assert_eq!(line[part].as_array().map(Vec::len), Some(count), "{part}");
    }
    for (weights, command) in [(&published, "convert"), (&converted, "embed")] {
        let output = match command {
            "convert" => run(&[
                "convert",
                weights,
                &path("b.safetensors"),
                "--backbone",
                "mobilevit-s",
            ]),
            _ => run(&[
                "embed",
                &face,
                "--backbone",
                "mobilevit-s",
                "--weights",
                weights,
            ]),
        };
        assert_eq!(output.status.code(), Some(1));
        let error = text(&output.stderr);
        let fault = "weights are for architecture `mobilevit-xxs`, expected `mobilevit-s`";
        assert!(error.contains(fault), "{error}");
    }
}

#[test]
#[ignore = "needs fetched packages: run cargo xtask test"]
fn the_published_embedding_has_its_known_parameter_count_and_no_other_size() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let published = cache_dir().join("published/faceres");
    let weights = read_tfjs(&published.join("faceres.json")).expect("published file");
    let count: usize = weights.iter().map(|(_, tensor)| tensor.values.len()).sum();
    // The file's 3,489,405 numbers less the two axes of the pooling.
    assert_eq!(count, 3_489_403);

    std::fs::copy(
        published.join("faceres.json"),
        folder.path().join("faceres.json"),
    )
    .expect("writable");
    let mut shard = std::fs::read(published.join("faceres.bin")).expect("published file");
    shard.pop();
    std::fs::write(folder.path().join("faceres.bin"), shard).expect("writable");
    let error = read_tfjs(&folder.path().join("faceres.json")).expect_err("truncated");
    assert_eq!(
        error.to_string(),
        "tfjs file is malformed: `faceres.bin` has 6978813 bytes, expected 6978814"
    );
}
