//! What the benchmark found, in tables.

mod poses;

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

/// The tables stand between these lines.
const BEGIN: &str = "<!-- bench: begin -->";
const END: &str = "<!-- bench: end -->";

/// What is to be reached: name, the largest value, unit.
const BARS: [(&str, f64, &str); 13] = [
    ("B0 on WebGPU, steady, ours / onnxruntime-web", 0.15, ""),
    (
        "B0 on WebGPU, first result, ours / onnxruntime-web",
        0.35,
        "",
    ),
    ("B0 in wasm, 1 thread, ours / onnxruntime-web", 1.0, ""),
    ("B0 in wasm, 2 threads, ours / onnxruntime-web", 1.0, ""),
    ("B0 natively, 1 thread, ours / onnxruntime", 1.3, ""),
    ("whole frame on the CPU, ours / human", 0.5, ""),
    ("B0 on WebGPU, dispatches", 90.0, ""),
    ("read-backs for a frame with a tracked face", 1.0, ""),
    ("npm package, compressed", 1.8, " MB"),
    ("pose of one person on the CPU, ours / MediaPipe", 0.8, ""),
    ("poses of two people on the CPU, ours / MediaPipe", 0.8, ""),
    ("pose detector natively, 1 thread, ours / LiteRT", 1.0, ""),
    ("pose landmarks natively, 1 thread, ours / LiteRT", 1.0, ""),
];

/// Each bar with what was reached; null where that part did not run.
pub fn bars(results: &Map<String, Value>) -> Value {
    let ratio = |ours: Option<&Value>, theirs: Option<&Value>, key: &str| {
        Some(ours?[key].as_f64()? / theirs?[key].as_f64()?)
    };
    let frame = |place: usize| Some(&results.get("frame")?["frame"]["results"][place]);
    let versus = |part: &str, device: &str, key: &str| {
        let row = |engine| {
            find(
                results,
                part,
                "emotieffnet-b0",
                &format!("{engine}, {device}"),
            )
        };
        ratio(row("affectlens"), row("onnxruntime"), key)
    };
    let pose = |place: usize| {
        let rows = &results.get("pose")?["pose"][place]["results"];
        ratio(rows.get(1), rows.get(2), "median_ms")
    };
    let tflite = |network: &str| {
        let row = |engine| {
            find(
                results,
                "native",
                network,
                &format!("{engine}, CPU, 1 thread"),
            )
        };
        ratio(row("affectlens"), row("LiteRT"), "median_ms")
    };
    let (one, two) = ("CPU, 1 thread", "CPU, 2 threads");
    let reached = [
        versus("browser", "WebGPU", "median_ms"),
        versus("browser", "WebGPU", "first_ms"),
        versus("browser", one, "median_ms"),
        versus("browser", two, "median_ms"),
        versus("native", one, "median_ms"),
        ratio(frame(0), frame(1), "median_ms"),
        find(results, "browser", "emotieffnet-b0", "affectlens, WebGPU")
            .and_then(|row| row["dispatches"].as_f64()),
        results
            .get("frame")
            .and_then(|part| part["frame"]["webgpu"]["counts"]["readBacks"].as_f64()),
        results
            .get("sizes")
            .and_then(|sizes| Some(sizes["affectlens"]["brotli"].as_f64()? / 1e6)),
        pose(0),
        pose(2),
        tflite("pose-detector"),
        tflite("pose-landmarks"),
    ];
    BARS.iter()
        .zip(reached)
        .map(|((what, bar, unit), reached)| {
            json!({
                "what": what,
                "bar": bar,
                "unit": unit,
                "reached": reached,
                "holds": reached.map(|value| value <= *bar),
            })
        })
        .collect()
}

/// A network on one picture, as one engine ran it.
fn find<'a>(
    results: &'a Map<String, Value>,
    part: &str,
    network: &str,
    contestant: &str,
) -> Option<&'a Value> {
    let networks = results.get(part)?["networks"].as_array()?;
    let network = networks
        .iter()
        .find(|it| it["name"] == network && it["batch"] == 1)?;
    let rows = network["results"].as_array()?;
    rows.iter().find(|row| row["name"] == contestant)
}

/// Everything as Markdown.
pub fn markdown(results: &Map<String, Value>) -> String {
    let mut text = String::new();
    write_machine(&mut text, results);
    write_bars(&mut text, results);
    for (part, title) in [("native", "Natively"), ("browser", "In Chromium")] {
        if let Some(found) = results.get(part) {
            write_networks(&mut text, title, part, found);
        }
    }
    if let Some(found) = results.get("frame") {
        write_frames(&mut text, &found["frame"]);
    }
    if let Some(found) = results.get("pose") {
        poses::write(&mut text, &found["pose"]);
    }
    if let Some(sizes) = results.get("sizes").and_then(Value::as_object) {
        text += "\n### What a page fetches\n\n| | files, MB | brotli, MB |\n|---|---:|---:|\n";
        for (name, size) in sizes {
            let row = [megabytes(&size["bytes"]), megabytes(&size["brotli"])];
            let _ = writeln!(text, "| {name} | {} | {} |", row[0], row[1]);
        }
    }
    text
}

/// Replaces the tables of a document.
///
/// # Errors
///
/// If the document has no place for them.
pub fn show_in(document: &Path, tables: &str) -> Result<()> {
    let name = document.display();
    let text = fs::read_to_string(document).with_context(|| name.to_string())?;
    let missing = || format!("{name} has no lines `{BEGIN}` and `{END}`");
    let (before, rest) = text.split_once(BEGIN).with_context(missing)?;
    let (_, after) = rest.split_once(END).with_context(missing)?;
    Ok(fs::write(
        document,
        format!("{before}{BEGIN}\n{tables}{END}{after}"),
    )?)
}

fn write_machine(text: &mut String, results: &Map<String, Value>) {
    let value = |part: &str, key: &str| {
        let found = results.get(part).map(|part| part[key].clone());
        match found.unwrap_or_default() {
            Value::String(text) => text,
            Value::Null => "-".to_owned(),
            other => other.to_string(),
        }
    };
    let _ = writeln!(
        text,
        "\n{}, {} cores, {}, {}. Chromium {}, WebGPU adapter {}.",
        value("machine", "cpu"),
        value("machine", "cores"),
        value("machine", "memory"),
        value("machine", "system"),
        value("browser", "chromium"),
        value("browser", "adapter"),
    );
    if let Some(versions) = results.get("versions").and_then(Value::as_object) {
        let listed = versions
            .iter()
            .filter(|(name, _)| !name.starts_with("playwright"))
            .map(|(name, version)| format!("{name} {}", version.as_str().unwrap_or("-")));
        let _ = writeln!(text, "{}.", listed.collect::<Vec<_>>().join(", "));
    }
    let dates = ["native", "browser", "frame", "pose"].map(|part| {
        let quick = results
            .get(part)
            .is_some_and(|part| part["quick"] == json!(true));
        format!(
            "{part} {}{}",
            value(part, "date"),
            if quick { " (quick)" } else { "" }
        )
    });
    let profile = value("native", "profile");
    let _ = writeln!(
        text,
        "Measured: {}. Command line of the `{profile}` profile.",
        dates.join(", ")
    );
}

fn write_bars(text: &mut String, results: &Map<String, Value>) {
    *text += "\n### Bars\n\n| | bar | reached | |\n|---|---:|---:|---|\n";
    let none = Vec::new();
    let bars = results
        .get("bars")
        .and_then(Value::as_array)
        .unwrap_or(&none);
    for bar in bars {
        let unit = bar["unit"].as_str().unwrap_or_default();
        let reached = bar["reached"].as_f64();
        let _ = writeln!(
            text,
            "| {} | {}{unit} | {} | {} |",
            bar["what"].as_str().unwrap_or_default(),
            bar["bar"].as_f64().unwrap_or_default(),
            reached.map_or_else(|| "-".to_owned(), |value| format!("{}{unit}", short(value))),
            match bar["holds"].as_bool() {
                Some(true) => "holds",
                Some(false) => "missed",
                None => "not measured",
            }
        );
    }
    *text += "\nThree more are tests: memory stays flat over analysed frames, no task of the page's thread lasts 50 ms \
        while the package loads and runs, and the compressed size.\n";
}

fn write_networks(text: &mut String, title: &str, part: &str, found: &Value) {
    let none = Vec::new();
    let networks = found["networks"].as_array().unwrap_or(&none);
    for network in networks {
        let _ = writeln!(
            text,
            "\n### {title}: {}, batch {}\n",
            network["name"].as_str().unwrap_or_default(),
            network["batch"]
        );
        *text += "| | first, ms | median, ms | p95, ms | ours / theirs | dispatches | read back, bytes | memory, MB |\n";
        *text += "|---|---:|---:|---:|---:|---:|---:|---:|\n";
        let rows = network["results"].as_array().unwrap_or(&none);
        for row in rows {
            let name = row["name"].as_str().unwrap_or_default();
            if let Some(failure) = row["failure"].as_str() {
                let _ = writeln!(text, "| {name} | {failure} | | | | | | |");
                continue;
            }
            let memory = if part == "browser" {
                let bytes = |key: &str| row[key].as_f64().unwrap_or_default();
                json!(bytes("wasm_bytes") + bytes("peak_buffer_bytes"))
            } else {
                row["memory_bytes"].clone()
            };
            let _ = writeln!(
                text,
                "| {name} | {:.0} | {} | {} | {} | {} | {} | {} |",
                row["first_ms"].as_f64().unwrap_or_default(),
                milliseconds(&row["median_ms"]),
                milliseconds(&row["p95_ms"]),
                against_rival(rows, row),
                count(&row["dispatches"]),
                count(&row["bytes_read_back"]),
                megabytes(&memory),
            );
        }
    }
    let limits = &found["limits"];
    if limits.is_object() {
        write_limits(text, networks, limits);
    }
}

/// Median relative to the rival's in the same place, on a GPU without one to PyTorch's; empty for the rivals themselves.
fn against_rival(rows: &[Value], row: &Value) -> String {
    let name = row["name"].as_str().unwrap_or_default();
    let Some(place) = name.strip_prefix("affectlens, ") else {
        return String::new();
    };
    let rivals = match place {
        "Vulkan" => vec!["PyTorch, compiled".to_owned()],
        _ => ["onnxruntime", "LiteRT"]
            .map(|engine| format!("{engine}, {place}"))
            .to_vec(),
    };
    let rival = rows
        .iter()
        .find(|row| rivals.iter().any(|rival| row["name"] == rival.as_str()));
    let ratio = || Some(row["median_ms"].as_f64()? / rival?["median_ms"].as_f64()?);
    ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}"))
}

fn write_limits(text: &mut String, networks: &[Value], limits: &Value) {
    let _ = writeln!(
        text,
        "\n### Share of what {} can do\n\nMeasured there: {:.2} TB/s copying, {:.1} T multiplications/s in 32 bits.\n",
        limits["adapter"].as_str().unwrap_or_default(),
        limits["bytes_per_second"].as_f64().unwrap_or_default() / 1e12,
        limits["multiplications_per_second"]
            .as_f64()
            .unwrap_or_default()
            / 1e12,
    );
    *text += "| | | memory | arithmetic |\n|---|---|---:|---:|\n";
    let none = Vec::new();
    for network in networks {
        let facts = &network["facts"];
        let value = |key: &str| facts[key].as_f64().unwrap_or_default();
        let batch = network["batch"].as_f64().unwrap_or(1.0);
        let bytes = value("parameter_bytes") + batch * value("activation_bytes");
        let work = batch * value("multiplications");
        for row in network["results"].as_array().unwrap_or(&none) {
            let name = row["name"].as_str().unwrap_or_default();
            if name.contains("CPU") {
                continue;
            }
            let seconds = row["median_ms"].as_f64().unwrap_or(f64::NAN) / 1e3;
            let share = |amount: f64, limit: &str| {
                100.0 * amount / seconds / limits[limit].as_f64().unwrap_or(f64::NAN)
            };
            let _ = writeln!(
                text,
                "| {}, batch {batch} | {name} | {:.1} % | {:.1} % |",
                network["name"].as_str().unwrap_or_default(),
                share(bytes, "bytes_per_second"),
                share(work, "multiplications_per_second"),
            );
        }
    }
}

fn write_frames(text: &mut String, frame: &Value) {
    *text += "\n### Whole frames in Chromium\n\n";
    let _ = writeln!(
        text,
        "{} frames of the sample clip, 400x300; both see the same face in {}.\n",
        frame["frames"], frame["same_face"]
    );
    *text += "| | first, ms | median, ms | p95, ms | dispatches | read-backs | wasm memory, MB |\n";
    *text += "|---|---:|---:|---:|---:|---:|---:|\n";
    let none = Vec::new();
    let rows = frame["results"].as_array().unwrap_or(&none);
    for row in rows.iter().chain([&frame["webgpu"]]) {
        let counts = &row["counts"];
        let _ = writeln!(
            text,
            "| {} | {:.0} | {} | {} | {} | {} | {} |",
            row["name"].as_str().unwrap_or_default(),
            row["first_ms"].as_f64().unwrap_or_default(),
            milliseconds(&row["median_ms"]),
            milliseconds(&row["p95_ms"]),
            counts["dispatches"],
            counts["readBacks"],
            megabytes(&counts["wasmBytes"]),
        );
    }
}

/// Whole numbers as they are, others with two places.
fn short(value: f64) -> String {
    if value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

fn milliseconds(value: &Value) -> String {
    let value = value.as_f64().unwrap_or_default();
    if value < 10.0 {
        format!("{value:.2}")
    } else if value < 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

fn megabytes(value: &Value) -> String {
    value
        .as_f64()
        .map_or_else(|| "-".to_owned(), |bytes| format!("{:.1}", bytes / 1e6))
}

fn count(value: &Value) -> String {
    value
        .as_u64()
        .map_or_else(|| "-".to_owned(), |count| count.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results() -> Map<String, Value> {
        let row = |name: &str, median: f64| json!({ "name": name, "first_ms": 10.0 * median, "median_ms": median, "p95_ms": median, "dispatches": 80 });
        let rows = [
            row("affectlens, WebGPU", 1.0),
            row("onnxruntime, WebGPU", 10.0),
        ];
        let part =
            json!({ "networks": [{ "name": "emotieffnet-b0", "batch": 1, "results": rows }] });
        [("browser".to_owned(), part)].into_iter().collect()
    }

    #[test]
    fn a_bar_is_judged_by_ours_over_theirs() {
        let bars = bars(&results());
        assert_eq!(bars[0]["reached"], json!(0.1));
        assert_eq!(bars[0]["holds"], json!(true));
        assert_eq!(bars[6]["reached"], json!(80.0));
        assert_eq!(
            bars[2]["holds"],
            Value::Null,
            "nothing ran there: {}",
            bars[2]
        );
    }

    #[test]
    fn ratios_stand_beside_ours_only() {
        let text = markdown(&results());
        assert!(
            text.contains("| affectlens, WebGPU | 10 | 1.00 | 1.00 | 0.10 | 80 |"),
            "{text}"
        );
        assert!(
            text.contains("| onnxruntime, WebGPU | 100 | 10.0 | 10.0 |  | 80 |"),
            "{text}"
        );
    }
}
