//! `affectlens extract`: second streams of videos, skeleton features or optical flow, written once for `train violence` and
//! `evaluate violence`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::{
    DeviceOption, PoseOption, installed::InstalledWeights, outputs::expect_output_folder,
    progress::Terminal,
};
use affectlens::pose::{PoseDetector, PoseLandmarker, PoseLandmarks};
use affectlens_data::{
    Extracted, Observer as _, StreamExtractionError, StreamVideo, clips_of, dvd_videos,
    extract_flow, extract_skeletons, named_videos,
};

/// Options of `affectlens extract`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    stream: Stream,
}

#[derive(clap::Subcommand, Debug)]
enum Stream {
    /// Writes the published skeleton features: 406 numbers a frame of where two people stand and how they move, DIR/NAME.npy.
    ///
    /// Every frame is looked at as a picture of its own by BlazePose (`affectlens weights fetch pose-detector
    /// pose-landmarks`). The files are NumPy's: 32-bit floats, a row a frame.
    Skeletons(SkeletonArgs),
    /// Writes the published pictures of optical flow: how each frame moved from the one before it, DIR/NAME/1.jpg and so on.
    ///
    /// Farneback's method on 224 x 224 grey pixels, with the numbers of OpenCV; no weights are needed. Red is how far a
    /// pixel moved, green how far down, blue how far to the right, each stretched to 0 to 255. The first frame, and one that
    /// cannot be read, is black.
    Flow(Videos),
}

#[derive(clap::Args, Debug)]
struct SkeletonArgs {
    #[command(flatten)]
    videos: Videos,
    /// Network for the points of a body; the published systems use the first.
    #[arg(long, value_enum, default_value_t)]
    pose: PoseOption,
    /// Device that runs the networks.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceOption,
    /// Folder with weights files [default: the cache that `affectlens weights fetch` fills].
    #[arg(long = "weights", value_name = "DIR")]
    weights: Option<PathBuf>,
}

/// Which videos, and where their streams go.
#[derive(clap::Args, Debug)]
struct Videos {
    /// Videos, and folders with the frames of one; NAME is that of the file or folder.
    #[arg(value_name = "CLIP", required_unless_present_any = ["data", "dvd"])]
    clips: Vec<PathBuf>,
    /// Folder of clips as `train violence` reads it; NAME is a clip's path in it: violent/1, or train/violent/1.
    #[arg(long, value_name = "DIR", conflicts_with = "clips")]
    data: Option<PathBuf>,
    /// Root folder of DVD; NAME is a video's part and id: Training/12.
    #[arg(long, value_name = "ROOT", conflicts_with_all = ["clips", "data"])]
    dvd: Option<PathBuf>,
    /// Folder for the results. What is there already is kept: a run that was ended goes on where it stopped.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Extracts the stream of every video; those that fail are reported and skipped, and make the result an error at the end.
pub(super) fn run(args: &Args) -> Result<()> {
    match &args.stream {
        Stream::Skeletons(args) => {
            let videos = args.videos.list()?;
            let landmarker = args.landmarker()?;
            let extract = |video: &StreamVideo, out: &Path, terminal: &Terminal| {
                extract_skeletons(video, out, &landmarker, terminal)
            };
            args.videos.extract(&videos, extract)
        }
        Stream::Flow(args) => {
            let videos = args.list()?;
            args.extract(&videos, |video, out, terminal| {
                extract_flow(video, out, terminal)
            })
        }
    }
}

impl SkeletonArgs {
    fn landmarker(&self) -> Result<PoseLandmarker> {
        let weights = InstalledWeights::new(self.weights.clone(), None).people(self.pose)?;
        let device = self.device.open()?;
        Ok(PoseLandmarker::new(
            PoseDetector::load(weights.detector, &device)?,
            PoseLandmarks::load(weights.landmarks, &device)?,
        ))
    }
}

impl Videos {
    /// Before weights are loaded: a mistyped name is answered at once.
    fn list(&self) -> Result<Vec<StreamVideo>> {
        expect_output_folder("--out", &self.out)?;
        Ok(match (&self.data, &self.dvd) {
            (Some(data), _) => clips_of(data)?,
            (None, Some(root)) => dvd_videos(root)?,
            (None, None) => named_videos(&self.clips)?,
        })
    }

    fn extract(
        &self,
        videos: &[StreamVideo],
        extract: impl Fn(&StreamVideo, &Path, &Terminal) -> Result<Extracted, StreamExtractionError>,
    ) -> Result<()> {
        let terminal = Terminal::default();
        let (mut made, mut kept, mut failed) = (0, 0, 0);
        for video in videos {
            match extract(video, &self.out, &terminal) {
                Ok(Extracted::Kept) => kept += 1,
                Ok(Extracted::Made { frames, complaint }) => {
                    made += 1;
                    if let Some(complaint) = complaint {
                        let name = &video.name;
                        terminal.complain(&format_args!(
                            "`{name}`: {complaint} ({frames} frames were read)"
                        ));
                    }
                }
                // The other videos are not at fault.
                Err(error) if error.is_fatal() => return Err(error.into()),
                Err(error) => {
                    failed += 1;
                    terminal.complain(&format_args!("skipped: {error}"));
                }
            }
        }
        let out = self.out.display();
        say!("{made} made, {kept} kept in {out}");
        match failed {
            0 => Ok(()),
            1 => bail!("1 video failed"),
            count => bail!("{count} videos failed"),
        }
    }
}
