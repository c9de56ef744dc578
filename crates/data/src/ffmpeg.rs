//! What every call of ffmpeg needs: files that it takes for nothing else, what it may read, and its complaints in plain
//! words.

use std::{ffi::OsString, path::Path, process::Command};

/// Containers that are read: those that hold their pictures and sound themselves. A playlist (HLS, DASH, concat, SDP) would
/// have ffmpeg open any file or address that it names, whatever the name of the playlist is, and may never end.
const CONTAINERS: &str = "3dostr,aac,ac3,aiff,amr,apng,asf,au,av1,avi,caf,dirac,dnxhd,dts,dv,eac3,flac,flv,gif,gxf,\
                          h261,h263,h264,hevc,ivf,ivr,jpeg_pipe,live_flv,m4v,matroska,mjpeg,mov,mp3,mpc,mpc8,mpeg,\
                          mpegts,mpegvideo,mpjpeg,mxf,nut,obu,ogg,rm,smjpeg,swf,tiff_pipe,tta,vc1,voc,w64,wav,webm,wtv,\
                          wv,yuv4mpegpipe";

/// What is said of a container that is not among them.
const OTHER_CONTAINER: &str = "its container is not read, as it may be a list of other files";

/// How the decoding of a file ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// What the decoder complained about, or why it ended early.
    pub complaint: Option<String>,
    /// Whether the decoder came to the end of the file and said so. A file that is damaged itself can be whole in this
    /// sense: it gives the same another time.
    pub is_whole: bool,
}

/// Names the file to read, in a container that is known, itself and nothing else.
pub(crate) fn add_input(command: &mut Command, path: &Path) {
    command
        .args(["-protocol_whitelist", "file"])
        .args(["-format_whitelist", CONTAINERS])
        .arg("-i")
        .arg(file_protocol(path));
}

/// A file name that begins with a dash or has a colon is neither an option nor a protocol.
fn file_protocol(path: &Path) -> OsString {
    let mut name = OsString::from("file:");
    name.push(path);
    name
}

/// A complaint without the part of ffmpeg that it came from: `[mov @ 0x55d0] it is cut off`.
pub(crate) fn without_place(line: &str) -> &str {
    let line = line.trim();
    let text = line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "));
    match text.map_or(line, |(_, text)| text) {
        // What follows is the whole list of those that are.
        text if text.starts_with("Format not on whitelist") => OTHER_CONTAINER,
        text => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_in_plain_words() {
        assert_eq!(
            without_place("[mov @ 0x55d0] it is cut off"),
            "it is cut off"
        );
        let line = "[hls @ 0x55d0] Format not on whitelist 'mov,mp4'";
        assert_eq!(without_place(line), OTHER_CONTAINER);
    }
}
