//! Sound that `ffmpeg` decodes, mixes to one channel and brings to 16 kHz.

use std::{
    io::{self, BufReader, Read},
    path::Path,
    sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{SAMPLE_RATE, probe::Track};
use crate::{
    Decoder, Ending, VideoError, ffmpeg::add_input, process::Process, video::read_complaints,
};

/// Samples that are handed over together.
const PIECE: usize = SAMPLE_RATE as usize;
/// Pieces that wait for their reader, besides the one that is being decoded.
const PIECES_AHEAD: usize = 4;
/// Most channels whose mean is written out for ffmpeg; it knows no layout of more either.
const MOST_CHANNELS: usize = 64;

/// Decoded sound.
#[derive(Debug)]
pub(super) struct DecodedSound {
    process: Process,
    pieces: Receiver<io::Result<Vec<f32>>>,
    /// What was received and not read yet.
    rest: Vec<f32>,
    log: JoinHandle<Option<String>>,
    limit: Duration,
    is_over: bool,
}

impl DecodedSound {
    /// Starts to decode a track of a file.
    pub(super) fn start(decoder: &Decoder, path: &Path, track: &Track) -> Result<Self, VideoError> {
        let stream = format!("0:{}", track.stream);
        let mut process = decoder.start(|command| {
            command
                .args(["-nostdin", "-hide_banner", "-nostats"])
                .args(["-loglevel", "repeat+level+error"]);
            add_input(command, path);
            command.args(["-map", &stream]);
            if let Some(mean) = mean_of_channels(track) {
                command.args(["-af", &mean]);
            }
            command
                // Without this many channels would be a louder one.
                .args(["-rematrix_maxval", "1"])
                .args(["-ac", "1", "-ar", &SAMPLE_RATE.to_string()])
                .args(["-c:a", "pcm_f32le", "-f", "f32le", "-"]);
        })?;
        let (stdout, stderr) = process.outputs();
        let (sender, pieces) = mpsc::sync_channel(PIECES_AHEAD);
        thread::spawn(move || send_pieces(stdout, &sender));
        Ok(Self {
            process,
            pieces,
            rest: Vec::new(),
            log: thread::spawn(move || read_complaints(stderr)),
            limit: decoder.limit(),
            is_over: false,
        })
    }

    /// Some of the next samples, `most` of them at most; none at the end.
    ///
    /// # Errors
    ///
    /// Why there are no more.
    pub(super) fn read(&mut self, most: usize) -> Result<Vec<f32>, String> {
        if self.rest.is_empty() && !self.is_over {
            match self.pieces.recv_timeout(self.limit) {
                Ok(Ok(piece)) => self.rest = piece,
                Ok(Err(error)) => return Err(format!("reading from ffmpeg: {error}")),
                Err(RecvTimeoutError::Disconnected) => self.is_over = true,
                Err(RecvTimeoutError::Timeout) => {
                    let seconds = self.limit.as_secs_f32();
                    return Err(format!(
                        "ffmpeg gave no sound for {seconds} seconds and was ended"
                    ));
                }
            }
        }
        let after = self.rest.split_off(most.min(self.rest.len()));
        Ok(std::mem::replace(&mut self.rest, after))
    }

    /// Ends the decoder, and gives how it ended.
    pub(super) fn finish(mut self) -> Ending {
        if !self.is_over {
            self.process.kill();
        }
        let status = self.process.wait_until(Instant::now() + self.limit);
        let Ok(status) = status else {
            let complaint = Some(format!("ffmpeg did not end within {:?}", self.limit));
            return Ending {
                complaint,
                is_whole: false,
            };
        };
        let complaint = self.log.join().ok().flatten();
        Ending {
            complaint: match complaint {
                None if self.is_over && !status.success() => {
                    Some(format!("ffmpeg ended with {status}"))
                }
                complaint => complaint,
            },
            is_whole: self.is_over && status.success(),
        }
    }
}

/// The filter that takes the mean of channels of which ffmpeg does not know where they stand.
fn mean_of_channels(track: &Track) -> Option<String> {
    let count = track.channels;
    (!track.has_layout && (3..=MOST_CHANNELS).contains(&count)).then(|| {
        let terms: Vec<String> = (0..count)
            .map(|channel| format!("{}*c{channel}", 1.0 / count as f64))
            .collect();
        format!("pan=mono|c0={}", terms.join("+"))
    })
}

/// Sends the samples that the decoder writes, until it ends or nobody reads them.
fn send_pieces(stdout: impl Read, pieces: &SyncSender<io::Result<Vec<f32>>>) {
    let mut stdout = BufReader::new(stdout);
    loop {
        let piece = read_piece(&mut stdout);
        let is_last = piece.as_ref().map_or(true, |piece| piece.len() < PIECE);
        let is_empty = piece.as_ref().is_ok_and(Vec::is_empty);
        if is_empty || pieces.send(piece).is_err() || is_last {
            return;
        }
    }
}

/// The next samples; fewer at the end, where half a sample is dropped.
fn read_piece(stdout: &mut impl Read) -> io::Result<Vec<f32>> {
    let mut bytes = Vec::with_capacity(PIECE * 4);
    stdout.take(PIECE as u64 * 4).read_to_end(&mut bytes)?;
    let samples = bytes.chunks_exact(4).map(|bytes| {
        let bytes = bytes.try_into().expect("four bytes");
        f32::from_le_bytes(bytes)
    });
    Ok(samples.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_of_an_unknown_place_all_count_the_same() {
        let track = |channels, has_layout| Track {
            stream: 0,
            channels,
            has_layout,
        };
        assert_eq!(mean_of_channels(&track(2, false)), None);
        assert_eq!(mean_of_channels(&track(8, true)), None);
        assert_eq!(
            mean_of_channels(&track(4, false)).as_deref(),
            Some("pan=mono|c0=0.25*c0+0.25*c1+0.25*c2+0.25*c3")
        );
    }

    /// What a program that misbehaves gives: its samples, the complaint, and that it is ended.
    #[cfg(unix)]
    fn misbehaving(script: &str) -> (Vec<f32>, Result<(), String>, Ending) {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().expect("temporary folder");
        let program = folder.path().join("ffmpeg");
        let answer = "case \"$*\" in\n-version) echo ffmpeg version 6.1; exit;;\n-hide_banner*) exit;;\nesac";
        std::fs::write(&program, format!("#!/bin/sh\n{answer}\n{script}\n")).expect("temporary");
        let may_run = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&program, may_run).expect("own file");
        let limit = Duration::from_millis(300);
        // A file that was just written may still be open in a process that another test is starting.
        let decoder = (0..20).find_map(|_| {
            thread::sleep(Duration::from_millis(20));
            Decoder::find(program.clone(), "ffprobe".into(), limit).ok()
        });
        let track = Track {
            stream: 0,
            channels: 1,
            has_layout: true,
        };
        let decoder = decoder.expect("scripts can be run");
        let mut sound = DecodedSound::start(&decoder, Path::new("a.mp4"), &track).expect("starts");
        let started = Instant::now();
        let mut samples = Vec::new();
        let ended = loop {
            match sound.read(PIECE) {
                Ok(piece) if piece.is_empty() => break Ok(()),
                Ok(piece) => samples.extend(piece),
                Err(reason) => break Err(reason),
            }
        };
        let ending = sound.finish();
        assert!(started.elapsed() < Duration::from_secs(20), "{script}");
        (samples, ended, ending)
    }

    #[cfg(unix)]
    #[test]
    fn a_decoder_that_stalls_or_fails_is_ended_and_named() {
        // 16,384 and 2 samples, and the end.
        let some = "head -c 65544 /dev/zero";
        let (samples, ended, ending) = misbehaving(&format!("{some}; exec sleep 100"));
        assert!(!ending.is_whole);
        assert_eq!(
            samples.len(),
            PIECE,
            "the rest was not whole when it was ended"
        );
        let reason = "ffmpeg gave no sound for 0.3 seconds and was ended";
        assert_eq!(ended, Err(reason.to_owned()));
        let failing = "echo '[aac @ 0x7] [error] Invalid data' >&2; exit 1";
        let (samples, ended, ending) = misbehaving(&format!("{some}; {failing}"));
        assert_eq!((samples.len(), ended), (16_386, Ok(())));
        assert_eq!(ending.complaint.as_deref(), Some("Invalid data"));
        assert!(!ending.is_whole);
        let (_, _, ending) = misbehaving("exit 3");
        assert_eq!(
            ending.complaint.as_deref(),
            Some("ffmpeg ended with exit status: 3")
        );
        let damaged = "echo '[aac @ 0x7] [error] Invalid data' >&2";
        let (_, _, ending) = misbehaving(&format!("{some}; {damaged}"));
        assert!(ending.is_whole, "the file is damaged, the decoder is not");
    }

    #[test]
    fn half_a_sample_at_the_end_is_dropped() {
        let (sender, receiver) = mpsc::sync_channel(2);
        let mut bytes = 0.5_f32.to_le_bytes().to_vec();
        bytes.extend([1, 2]);
        send_pieces(bytes.as_slice(), &sender);
        drop(sender);
        let pieces: Vec<_> = receiver.into_iter().map(|it| it.expect("read")).collect();
        assert_eq!(pieces, [[0.5]]);
    }
}
