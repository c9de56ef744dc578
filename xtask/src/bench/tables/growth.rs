//! What a frame of ours grows with.

use std::fmt::Write as _;

use serde_json::Value;

use super::{megabytes, milliseconds};

/// Adds the tables.
pub(super) fn write(text: &mut String, growth: &Value) {
    *text += "\n### What a frame grows with\n\n";
    let _ = writeln!(
        text,
        "The npm package in Chromium on the CPU, one thread, {} frames of each kind as a stream; the three tasks about faces, but \
         where tasks are named. Several faces are found by the full range, which costs about five times the short one.\n\n\
         ![Time of a frame with more faces, more pixels and more tasks](growth.svg)\n",
        growth["frames"]
    );
    let table =
        |text: &mut String, key: &str, head: [&str; 2], row: &dyn Fn(&Value) -> [String; 2]| {
            let [first, last] = head;
            let _ = writeln!(
                text,
                "| {first} | faces found | median, ms | p95, ms | {last} |"
            );
            *text += "|---|---:|---:|---:|---:|\n";
            for found in growth[key].as_array().into_iter().flatten() {
                let [first, last] = row(found);
                let _ = writeln!(
                    text,
                    "| {first} | {} | {} | {} | {last} |",
                    found["found"],
                    milliseconds(&found["median_ms"]),
                    milliseconds(&found["p95_ms"]),
                );
            }
            *text += "\n";
        };
    let size = |found: &Value| format!("{}x{}", found["width"], found["height"]);
    table(
        text,
        "faces",
        [
            "faces in a picture",
            "each in a picture of its own, together, ms",
        ],
        &|found| {
            [
                format!("{} of {}", found["shown"], size(found)),
                milliseconds(&found["alone_ms"]),
            ]
        },
    );
    let pixels = |found: &Value| {
        let side = |key: &str| found[key].as_f64().unwrap_or_default();
        side("width") * side("height") / 1e6
    };
    table(
        text,
        "sizes",
        ["picture with one face", "megapixels"],
        &|found| [size(found), format!("{:.1}", pixels(found))],
    );
    table(text, "tasks", ["tasks", "wasm memory, MB"], &|found| {
        let names = found["tasks"].as_array().into_iter().flatten();
        let names: Vec<_> = names.filter_map(Value::as_str).collect();
        [names.join(", "), megabytes(&found["wasm_bytes"])]
    });
    // Another heading follows.
    text.pop();
}
