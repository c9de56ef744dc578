//! What ffmpeg writes to standard error: the time of every frame, and complaints.

use std::io::{BufRead, BufReader, Read};

use crate::ffmpeg::without_place;

/// Longest line that is understood; the rest of it is dropped.
const MAX_LINE: u64 = 4096;

/// Every frame passes the filter `showinfo`, which writes a line with its time stamp.
const FRAME: &str = "[Parsed_showinfo_";

/// Time of a frame in milliseconds; `None` if the file does not know it.
pub(super) type FrameTime = Option<f64>;

/// Reads the log to its end: frame times go to `times`, complaints are the result.
pub(super) fn read_log(log: impl Read, mut times: impl FnMut(FrameTime)) -> Option<String> {
    let mut log = BufReader::new(log);
    let mut milliseconds_per_tick = None;
    let mut complaints = Complaints::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        match log.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return complaints.summary(),
            Ok(_) => {}
        }
        let line = String::from_utf8_lossy(&line);
        if let Some(info) = line.strip_prefix(FRAME) {
            if let Some(base) = time_base(info) {
                milliseconds_per_tick = Some(base);
            } else if let Some(ticks) = time_stamp(info) {
                let per_tick = milliseconds_per_tick;
                let time = ticks.zip(per_tick).map(|(ticks, tick)| tick.at(ticks));
                times(time);
            }
        } else if let Some(complaint) = complaint(&line) {
            complaints.add(complaint);
        }
    }
}

/// Reads a log without frame times to its end, and gives the complaints.
pub(crate) fn read_complaints(log: impl Read) -> Option<String> {
    read_log(log, |_| ())
}

/// Length of a tick, in seconds, as a ratio.
#[derive(Clone, Copy)]
struct TimeBase {
    numerator: f64,
    denominator: f64,
}

impl TimeBase {
    /// Milliseconds at a number of ticks, rounded once.
    fn at(self, ticks: i64) -> f64 {
        ticks as f64 * self.numerator * 1000.0 / self.denominator
    }
}

/// The time base from `... config in time_base: 1/12800, frame_rate: 25/1`.
fn time_base(info: &str) -> Option<TimeBase> {
    let (_, base) = info.split_once("config in time_base: ")?;
    let (numerator, rest) = base.split_once('/')?;
    let (denominator, _) = rest.split_once(',')?;
    let (numerator, denominator) = (numerator.parse().ok()?, denominator.parse().ok()?);
    (denominator > 0.0).then_some(TimeBase {
        numerator,
        denominator,
    })
}

/// The time stamp from `... n:   1 pts:    640 pts_time:0.04 ...`: `Some(None)` for a frame without one.
fn time_stamp(info: &str) -> Option<Option<i64>> {
    let (_, counted) = info.split_once("] n:")?;
    let (_, stamp) = counted.split_once("pts:")?;
    Some(stamp.split_ascii_whitespace().next()?.parse().ok())
}

/// What a line of level `error` or worse says.
fn complaint(line: &str) -> Option<&str> {
    let levels = ["[error] ", "[fatal] ", "[panic] "];
    let said = levels.iter().find_map(|level| line.split_once(level));
    said.map(|(_, complaint)| complaint.trim())
        .filter(|complaint| !complaint.is_empty())
}

/// The first and the last complaint, and their number.
#[derive(Default)]
struct Complaints {
    first: String,
    last: String,
    count: usize,
}

impl Complaints {
    fn add(&mut self, complaint: &str) {
        if self.count == 0 {
            complaint.clone_into(&mut self.first);
        } else {
            complaint.clone_into(&mut self.last);
        }
        self.count += 1;
    }

    fn summary(self) -> Option<String> {
        let Self { first, last, count } = self;
        match count {
            0 => None,
            1 => Some(first),
            2 => Some(format!("{first}; {last}")),
            _ => Some(format!("{first} ... ({count} lines) ... {last}")),
        }
    }
}

/// What the lines of a finished process say, in short.
pub(crate) fn summarise(text: &str) -> String {
    let mut complaints = Complaints::default();
    let lines = text.lines().map(without_place);
    lines
        .filter(|line| !line.is_empty())
        .for_each(|line| complaints.add(line));
    complaints.summary().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_complaints_are_told_apart() {
        let log = "\
[info] Input #0, matroska,webm, from 'file:a.webm':
[Parsed_showinfo_0 @ 0x5] [info] config in time_base: 1/1000, frame_rate: 1000/1
[Parsed_showinfo_0 @ 0x5] [info] config out time_base: 0/0, frame_rate: 0/0
[Parsed_showinfo_0 @ 0x5] [info] n:   0 pts:     33 pts_time:0.033   pos: 12 fmt:yuv420p sar:1/1 s:4x4 i:P
[vp9 @ 0x7] [error] Invalid data
[Parsed_showinfo_0 @ 0x5] [info] color_range:unknown color_space:unknown
[Parsed_showinfo_0 @ 0x5] [info] n:   1 pts:  NOPTS pts_time:NOPTS   pos: 12 fmt:yuv420p
[Parsed_showinfo_0 @ 0x5] [info] config in time_base: 1/12800, frame_rate: 25/1
[Parsed_showinfo_0 @ 0x5] [info] n:   0 pts:  -1024 pts_time:-0.08   pos: -1 fmt:yuv420p
";
        let mut times = Vec::new();
        let complaints = read_log(log.as_bytes(), |time| times.push(time));
        assert_eq!(complaints.as_deref(), Some("Invalid data"));
        assert_eq!(times, [Some(33.0), None, Some(-80.0)]);
    }

    #[test]
    fn many_complaints_are_the_first_the_last_and_their_number() {
        assert_eq!(summarise(""), "");
        assert_eq!(summarise("a\n\nb\n"), "a; b");
        assert_eq!(summarise("a\nb\nc\nd"), "a ... (4 lines) ... d");
        assert_eq!(
            summarise("[mov,mp4 @ 0x55d0] no atom\nfile:a: bad"),
            "no atom; file:a: bad"
        );
    }
}
