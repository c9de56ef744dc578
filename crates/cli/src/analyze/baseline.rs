//! The span of `--baseline`.

use affectlens::lens::NeutralSpan;

/// Reads `0:03` (from the start up to three seconds) or `0:10-0:13`.
pub(super) fn span(text: &str) -> Result<NeutralSpan, String> {
    let (from, to) = text.split_once('-').unwrap_or(("0", text));
    let times = milliseconds(from).zip(milliseconds(to));
    let span = times.and_then(|(from_ms, to_ms)| NeutralSpan::between(from_ms, to_ms).ok());
    span.ok_or_else(|| "expected a time like 0:03, or a range of times like 0:10-0:13".to_owned())
}

/// Reads `[[HOURS:]MINUTES:]SECONDS`.
fn milliseconds(text: &str) -> Option<f64> {
    let is_number = |part: &str| part.starts_with(|it: char| it.is_ascii_digit());
    let parts: Vec<&str> = text.split(':').collect();
    let (seconds, whole) = parts.split_last()?;
    if parts.len() > 3 || !is_number(seconds) {
        return None;
    }
    let seconds: f64 = seconds.parse().ok()?;
    let minutes = whole.iter().try_fold(0_u32, |minutes, part| {
        minutes.checked_mul(60)?.checked_add(part.parse().ok()?)
    })?;
    let time_ms = (f64::from(minutes) * 60.0 + seconds) * 1000.0;
    time_ms.is_finite().then_some(time_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_ranges_are_read() {
        for (text, from_ms, to_ms) in [
            ("3", 0.0, 3000.0),
            ("0:03", 0.0, 3000.0),
            ("0:10-0:13.5", 10_000.0, 13_500.0),
            ("1:02:03-1:02:04", 3_723_000.0, 3_724_000.0),
        ] {
            assert_eq!(
                span(text),
                Ok(NeutralSpan::between(from_ms, to_ms).expect("ordered"))
            );
        }
        for text in [
            "",
            "0",
            "-3",
            "0:03-",
            "3-1",
            "0:0x",
            "1:2:3:4",
            "inf",
            "nan",
            "99999999999:0",
        ] {
            assert!(span(text).is_err(), "{text}");
        }
    }
}
