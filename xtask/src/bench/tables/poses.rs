//! Poses against MediaPipe's Pose Landmarker.

use std::fmt::Write as _;

use serde_json::Value;

use super::milliseconds;

/// Adds the table.
pub(super) fn write(text: &mut String, cases: &Value) {
    *text += "\n### Poses in Chromium\n\nMediaPipe's Pose Landmarker with the same networks, for video. Points are those of \
        the head and the shoulders, compared with MediaPipe's.\n\n";
    *text += "| | | first, ms | median, ms | p95, ms | ours / theirs | frames with as many people | points within, px |\n";
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
