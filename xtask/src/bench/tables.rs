//! What the benchmark found, in tables.

mod growth;
mod streams;

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

/// The tables stand between these lines.
const BEGIN: &str = "<!-- bench: begin -->";
const END: &str = "<!-- bench: end -->";

/// Networks with limits of their own in the browser, as the table calls them.
const IN_BROWSERS: [(&str, &str); 5] = [
    ("emotieffnet-b0", "B0"),
    ("expression-mobilenet", "expression-mobilenet"),
    ("blazeface-short-range", "BlazeFace"),
    ("face-mesh", "face mesh"),
    ("face-blendshapes", "blendshapes"),
];
/// The same natively, besides those.
const NATIVELY: [(&str, &str); 5] = [
    ("efficientnet-lite0", "EfficientNet-Lite0"),
    ("convnext-tiny", "ConvNeXt-T"),
    ("wav2vec2-base", "wav2vec 2.0 base"),
    ("pose-detector", "pose detector"),
    ("pose-landmarks", "pose landmarks"),
];
/// Cases of faces as a stream with limits of their own: place, measure, limit, and what the table calls them.
const FACES_AS_A_STREAM: [(usize, &str, f64, &str); 3] = [
    (
        0,
        "median_ms",
        0.8,
        "action units and landmarks of a frame, CPU, 1 thread",
    ),
    (
        1,
        "median_ms",
        1.0,
        "the three tasks about faces, CPU, 1 thread",
    ),
    (0, "first_ms", 0.7, "first result after loading, CPU"),
];
/// Largest ratio to the best other engine: in wasm, on WebGPU, natively.
const IN_WASM: f64 = 0.7;
const ON_WEBGPU: f64 = 0.4;
const ON_CPU: f64 = 0.9;
const ONE: &str = "CPU, 1 thread";
const TWO: &str = "CPU, 2 threads";

/// What was reached, and beside whom.
type Reached = Option<(f64, Option<String>)>;

/// Each bar with what was reached; null where that part did not run.
pub fn bars(results: &Map<String, Value>) -> Value {
    let mut bars = Vec::new();
    let mut bar = |what: String, limit: f64, unit: &str, reached: Reached| {
        let (value, beside) = reached.unzip();
        bars.push(json!({
            "what": what,
            "bar": limit,
            "unit": unit,
            "reached": value,
            "beside": beside.flatten(),
            "holds": value.map(|value| value <= limit),
        }));
    };
    let stream = |part: &str, key: &str, case: usize, ours: usize, measure: &str| -> Reached {
        let rows = results.get(part)?[key][case]["results"].as_array()?;
        let theirs = rows.last()?[measure].as_f64()?;
        Some((rows.get(ours)?[measure].as_f64()? / theirs, None))
    };
    let ours = |part: &str, network: &str, place: &str, measure: &str| -> Reached {
        let rows = rows(results, part, network)?;
        let ours = rows
            .iter()
            .find(|row| row["name"] == format!("affectlens, {place}").as_str())?;
        let (theirs, beside) = best_rival(rows, place, measure)?;
        Some((ours[measure].as_f64()? / theirs, Some(beside.to_owned())))
    };
    let alone = |value: Option<f64>| value.map(|value| (value, None));

    for (case, measure, limit, what) in FACES_AS_A_STREAM {
        let text = format!("{what}, ours / Face Landmarker");
        bar(text, limit, "", stream("frame", "faces", case, 0, measure));
    }
    for (network, what) in IN_BROWSERS {
        let text = format!("{what} in wasm, 1 thread, ours / best");
        bar(
            text,
            IN_WASM,
            "",
            ours("browser", network, ONE, "median_ms"),
        );
        let text = format!("{what} on WebGPU, ours / best");
        bar(
            text,
            ON_WEBGPU,
            "",
            ours("browser", network, "WebGPU", "median_ms"),
        );
    }
    for (network, what) in IN_BROWSERS.iter().chain(&NATIVELY) {
        for place in [ONE, TWO] {
            let text = format!("{what} natively, {place}, ours / best");
            bar(
                text,
                ON_CPU,
                "",
                ours("native", network, place, "median_ms"),
            );
        }
    }
    let text = "B0 on WebGPU, first result, ours / best";
    bar(
        text.to_owned(),
        0.35,
        "",
        ours("browser", "emotieffnet-b0", "WebGPU", "first_ms"),
    );
    let heap = |engine: &str| {
        find(
            results,
            "browser",
            "emotieffnet-b0",
            &format!("{engine}, {ONE}"),
        )?["wasm_bytes"]
            .as_f64()
    };
    let ratio = heap("affectlens")
        .zip(heap("onnxruntime"))
        .map(|(ours, theirs)| ours / theirs);
    bar(
        "wasm memory with B0, ours / onnxruntime-web".to_owned(),
        1.0,
        "",
        alone(ratio),
    );
    let frame =
        |place: usize| results.get("frame")?["frame"]["results"][place]["median_ms"].as_f64();
    let ratio = frame(0).zip(frame(1)).map(|(ours, theirs)| ours / theirs);
    bar(
        "whole frame on the CPU, ours / human".to_owned(),
        0.5,
        "",
        alone(ratio),
    );
    let dispatches = find(results, "browser", "emotieffnet-b0", "affectlens, WebGPU")
        .and_then(|row| row["dispatches"].as_f64());
    bar(
        "B0 on WebGPU, dispatches".to_owned(),
        90.0,
        "",
        alone(dispatches),
    );
    let read_backs = results
        .get("frame")
        .and_then(|part| part["frame"]["webgpu"]["counts"]["readBacks"].as_f64());
    let text = "read-backs for a frame with a tracked face";
    bar(text.to_owned(), 1.0, "", alone(read_backs));
    let size = results
        .get("sizes")
        .and_then(|sizes| Some(sizes["affectlens"]["brotli"].as_f64()? / 1e6));
    bar(
        "npm package, compressed".to_owned(),
        1.6,
        " MB",
        alone(size),
    );
    for (case, what) in [(0, "pose of one person"), (2, "poses of two people")] {
        let text = format!("{what}, CPU, 2 threads, ours / Pose Landmarker");
        bar(text, 0.8, "", stream("pose", "pose", case, 1, "median_ms"));
    }
    Value::Array(bars)
}

/// The smallest measure of another engine in the same place, and the engine's name; on a GPU without one PyTorch's.
fn best_rival<'a>(rows: &'a [Value], place: &str, measure: &str) -> Option<(f64, &'a str)> {
    rows.iter()
        .filter_map(|row| {
            let (engine, where_) = row["name"].as_str()?.split_once(", ")?;
            let is_beside = match place {
                "Vulkan" => engine == "PyTorch" && where_ == "compiled",
                _ => engine != "affectlens" && where_ == place,
            };
            Some((row[measure].as_f64().filter(|_| is_beside)?, engine))
        })
        .min_by(|a, b| a.0.total_cmp(&b.0))
}

/// A network on one picture, as all engines ran it.
fn rows<'a>(results: &'a Map<String, Value>, part: &str, network: &str) -> Option<&'a [Value]> {
    let networks = results.get(part)?["networks"].as_array()?;
    let network = networks
        .iter()
        .find(|it| it["name"] == network && it["batch"] == 1)?;
    Some(network["results"].as_array()?)
}

/// A network on one picture, as one engine ran it.
fn find<'a>(
    results: &'a Map<String, Value>,
    part: &str,
    network: &str,
    contestant: &str,
) -> Option<&'a Value> {
    let mut rows = rows(results, part, network)?.iter();
    rows.find(|row| row["name"] == contestant)
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
    for (part, stream) in [("frame", streams::FACES), ("pose", streams::POSES)] {
        if let Some(found) = results.get(part) {
            streams::write(&mut text, &stream, &found[stream.key]);
        }
    }
    if let Some(found) = results.get("growth") {
        growth::write(&mut text, &found["growth"]);
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
    let dates = ["native", "browser", "frame", "pose", "growth"].map(|part| {
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
            reached.map_or_else(
                || "-".to_owned(),
                |value| {
                    let beside = bar["beside"].as_str();
                    let beside = beside.map_or_else(String::new, |engine| format!(" ({engine})"));
                    format!("{}{unit}{beside}", short(value))
                }
            ),
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
        *text += "| | first, ms | median, ms | p95, ms | ours / best | dispatches | read back, bytes | memory, MB |\n";
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
                against_best(rows, row),
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

/// Median relative to that of the best other engine in the same place, and its name; empty for the others themselves.
fn against_best(rows: &[Value], row: &Value) -> String {
    let name = row["name"].as_str().unwrap_or_default();
    let ratio = || {
        let (theirs, engine) = best_rival(rows, name.strip_prefix("affectlens, ")?, "median_ms")?;
        Some(format!(
            "{:.2} ({engine})",
            row["median_ms"].as_f64()? / theirs
        ))
    };
    ratio().unwrap_or_default()
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
            row("LiteRT, WebGPU", 4.0),
            row("LiteRT, CPU, 1 thread", 0.5),
        ];
        let part =
            json!({ "networks": [{ "name": "emotieffnet-b0", "batch": 1, "results": rows }] });
        [("browser".to_owned(), part)].into_iter().collect()
    }

    #[test]
    fn a_bar_is_judged_by_ours_over_the_best() {
        let bars = bars(&results());
        let bar = |what: &str| {
            let mut all = bars.as_array().expect("a list").iter();
            all.find(|bar| bar["what"] == what)
                .expect("a bar of that name")
        };
        let steady = bar("B0 on WebGPU, ours / best");
        assert_eq!(steady["reached"], json!(0.25));
        assert_eq!(steady["beside"], json!("LiteRT"));
        assert_eq!(steady["holds"], json!(true));
        assert_eq!(bar("B0 on WebGPU, dispatches")["reached"], json!(80.0));
        let wasm = bar("B0 in wasm, 1 thread, ours / best");
        assert_eq!(wasm["holds"], Value::Null, "ours did not run there: {wasm}");
    }

    #[test]
    fn ratios_stand_beside_ours_only() {
        let text = markdown(&results());
        assert!(
            text.contains("| affectlens, WebGPU | 10 | 1.00 | 1.00 | 0.25 (LiteRT) | 80 |"),
            "{text}"
        );
        assert!(
            text.contains("| onnxruntime, WebGPU | 100 | 10.0 | 10.0 |  | 80 |"),
            "{text}"
        );
    }
}
