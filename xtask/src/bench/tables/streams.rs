//! Frames of a stream against MediaPipe's landmarkers.

use std::fmt::Write as _;

use serde_json::Value;

use super::milliseconds;

/// What is looked at.
pub(super) struct Stream {
    /// Key of the results.
    pub(super) key: &'static str,
    title: &'static str,
    about: &'static str,
    /// What is counted.
    counted: &'static str,
}

pub(super) const FACES: Stream = Stream {
    key: "faces",
    title: "Faces as a stream in Chromium",
    about: "MediaPipe's Face Landmarker with blendshapes, for video, on the CPU with its one thread. Points are the 478 of \
        the mesh.",
    counted: "faces",
};
pub(super) const POSES: Stream = Stream {
    key: "pose",
    title: "Poses in Chromium",
    about: "MediaPipe's Pose Landmarker with the same networks, for video. Points are those of the head and the shoulders.",
    counted: "people",
};

/// Adds the table.
pub(super) fn write(text: &mut String, stream: &Stream, cases: &Value) {
    let Stream {
        title,
        about,
        counted,
        ..
    } = stream;
    let _ = writeln!(text, "\n### {title}\n\n{about}\n");
    let _ = writeln!(
        text,
        "| | | first, ms | median, ms | p95, ms | ours / theirs | frames with as many {counted} | points within, px |"
    );
    *text += "|---|---|---:|---:|---:|---:|---:|---:|\n";
    let none = Vec::new();
    for case in cases.as_array().unwrap_or(&none) {
        let rows = case["results"].as_array().unwrap_or(&none);
        let theirs = rows.last().and_then(|row| row["median_ms"].as_f64());
        for row in rows {
            let name = row["name"].as_str().unwrap_or_default();
            let ratio = row["median_ms"].as_f64().zip(theirs);
            let ratio = ratio.filter(|_| name.starts_with("affectlens"));
            let _ = writeln!(
                text,
                "| {} | {name} | {:.0} | {} | {} | {} | {} of {} | {:.2} |",
                case["name"].as_str().unwrap_or_default(),
                row["first_ms"].as_f64().unwrap_or_default(),
                milliseconds(&row["median_ms"]),
                milliseconds(&row["p95_ms"]),
                ratio.map_or_else(String::new, |(ours, theirs)| format!(
                    "{:.2}",
                    ours / theirs
                )),
                row["same_count"],
                case["frames"],
                row["off_px"].as_f64().unwrap_or_default(),
            );
        }
    }
}
