//! Options for what violence heads read beside frames: skeletons or pictures of the optical flow.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::{
    DeviceOption,
    installed::InstalledWeights,
    readers::feature_cache,
    two_streams::{FLOW_BACKBONE, flow_backbone, stamp_flow, stream_of},
};
use affectlens::{
    head::{SecondStream, TemporalKind},
    weights::Weights,
};
use affectlens_data::SecondReader;

/// Where the second stream of videos is.
#[derive(clap::Args, Debug)]
pub(crate) struct SecondStreamOptions {
    /// Folder with skeletons, for heads that read them: DIR/Training/ID.npy and DIR/Validation/ID.npy for DVD, DIR/CLASS/NAME.npy
    /// for CLASS/NAME.mp4; 406 numbers a frame. Without a file a video has zeros.
    #[arg(long, value_name = "DIR")]
    skeleton: Option<PathBuf>,
    /// Folder with pictures of the optical flow, for heads that read them: DIR/Training/ID/1.jpg and so on, numbered like the
    /// frames. Without pictures a video has black ones.
    #[arg(long, value_name = "DIR")]
    flow: Option<PathBuf>,
    /// Backbone for pictures of the optical flow [default: that of the head, otherwise efficientnet-b0].
    #[arg(long, value_name = "NAME")]
    flow_backbone: Option<String>,
    /// Folder with the weights file of that backbone [default: --weights].
    #[arg(long, value_name = "DIR")]
    flow_weights: Option<PathBuf>,
    /// Refuse videos without skeletons or pictures of the flow that the head reads.
    #[arg(long)]
    strict: bool,
}

fn expect_folder(option: &str, folder: &Path) -> Result<()> {
    match folder.is_dir() {
        true => Ok(()),
        false => bail!(
            "{option} `{}` is not there, expected a folder",
            folder.display()
        ),
    }
}

impl SecondStreamOptions {
    /// Confirms that the head reads what was given.
    pub(crate) fn expect_read(&self, head: TemporalKind) -> Result<()> {
        let stream = stream_of(head);
        for (option, folder, read, example) in [
            (
                "--skeleton",
                &self.skeleton,
                SecondStream::Skeletons,
                "skeleton-attention-bilstm",
            ),
            (
                "--flow",
                &self.flow,
                SecondStream::Flow,
                "flow-concat-bilstm",
            ),
        ] {
            let Some(folder) = folder else { continue };
            if stream != Some(read) {
                bail!(
                    "{option}: a `{}` head does not read {}, expected a head such as `{example}`",
                    head.name(),
                    read.name()
                );
            }
            expect_folder(option, folder)?;
        }
        Ok(())
    }

    /// Confirms that the folders that were given are there.
    pub(crate) fn expect_folders(&self) -> Result<()> {
        for (option, folder) in [("--skeleton", &self.skeleton), ("--flow", &self.flow)] {
            if let Some(folder) = folder {
                expect_folder(option, folder)?;
            }
        }
        Ok(())
    }

    /// Whether a folder with that stream was given.
    pub(crate) fn has(&self, stream: SecondStream) -> bool {
        self.folder(stream).is_some()
    }

    /// What reads the second stream of the head, if it reads one; `trained` is the head's file, if there is one.
    pub(crate) fn open(
        &self,
        head: TemporalKind,
        trained: Option<&Weights>,
        weights: Option<&Path>,
        device: DeviceOption,
    ) -> Result<Option<SecondReader>> {
        self.expect_read(head)?;
        stream_of(head)
            .map(|stream| self.reader(stream, trained, weights, device))
            .transpose()
    }

    /// What reads that stream.
    pub(crate) fn reader(
        &self,
        stream: SecondStream,
        trained: Option<&Weights>,
        weights: Option<&Path>,
        device: DeviceOption,
    ) -> Result<SecondReader> {
        let folder = self.folder(stream).cloned();
        if stream == SecondStream::Skeletons {
            return Ok(SecondReader::skeletons(folder, self.strict));
        }
        let name = self.flow_backbone(trained);
        let weights = self.flow_weights.as_deref().or(weights);
        let installed = InstalledWeights::new(weights.map(Path::to_owned), Some(name.to_owned()));
        let network = (name, &installed.backbone()?);
        let cache = feature_cache();
        let reader = SecondReader::flow(folder, self.strict, network, device.open()?, &cache);
        Ok(reader?)
    }

    /// Names the backbone for pictures of the flow in a head that reads them.
    pub(crate) fn stamp(&self, kind: TemporalKind, head: &mut Weights) {
        stamp_flow(kind, self.flow_backbone(None), head);
    }

    fn folder(&self, stream: SecondStream) -> Option<&PathBuf> {
        match stream {
            SecondStream::Skeletons => self.skeleton.as_ref(),
            SecondStream::Flow => self.flow.as_ref(),
        }
    }

    fn flow_backbone<'a>(&'a self, trained: Option<&'a Weights>) -> &'a str {
        let named = self.flow_backbone.as_deref();
        named
            .or(trained.map(flow_backbone))
            .unwrap_or(FLOW_BACKBONE)
    }
}
