//! What the head reads of a window: an embedding of each frame, with a second stream beside it where the head reads two, or
//! features of a few moments of the window.

#[cfg(not(target_family = "wasm"))]
use super::second::{self, SecondInput};
use super::{files::SecondWeights, frames::embed};
use crate::{
    backbone::Backbone,
    clip::{ClipBackbone, ClipConfig, ClipFrame},
    device::OpenedDevice,
    error::LensError,
    frame::Frame,
    head::{FusionKind, TemporalKind},
    kernel::read_back,
    person::Person,
    role::Role,
    weights::{Weights, WeightsError},
};

/// The networks that look at frames or windows, on their device.
#[derive(Debug)]
pub(super) struct Embedder {
    device: OpenedDevice,
    network: Network,
    #[cfg(not(target_family = "wasm"))]
    second: Option<SecondInput>,
}

/// What is known before a frame is looked at.
#[derive(Debug, Default)]
pub(super) struct Before {
    /// The people in the frame, where somebody has looked for them.
    pub(super) people: Option<Vec<Person>>,
    #[cfg(not(target_family = "wasm"))]
    frame: second::Before,
}

#[derive(Debug)]
enum Network {
    /// Sees one frame at a time.
    Frames(Box<Backbone>),
    /// Sees a window as a whole.
    Clips(Box<ClipBackbone>),
}

/// A frame as windows hold it: made once, however many windows hold it.
#[derive(Debug)]
pub(super) enum Seen {
    /// What the network makes of it, then the numbers of the second stream.
    Embedding(Vec<f32>),
    /// In the size and the numbers that the network reads.
    Frame(ClipFrame),
}

impl Network {
    /// Frames of a window, where the network looks at so many.
    fn length(&self) -> Option<usize> {
        match self {
            Self::Frames(_) => None,
            Self::Clips(network) => Some(network.config().frames),
        }
    }
}

impl Embedder {
    /// Puts the networks on the device; those of a second stream where the head reads one.
    pub(super) async fn load(
        backbone: Weights,
        head: &Weights,
        second: Option<SecondWeights>,
        device: &OpenedDevice,
    ) -> Result<Self, LensError> {
        let network = Self::network(backbone, device);
        let network = network.map_err(LensError::weights(Role::ViolenceBackbone))?;
        let head = &head.metadata.architecture;
        let reads = TemporalKind::from_architecture(head).and_then(TemporalKind::fusion);
        let reads = reads.map(FusionKind::stream);
        let second = second.filter(|second| Some(second.stream()) == reads);
        let is_beside_frames = !cfg!(target_family = "wasm") && network.length().is_none();
        if let Some(stream) = reads
            && (second.is_none() || !is_beside_frames)
        {
            return Err(LensError::SecondStream {
                head: head.clone(),
                stream: stream.name(),
                width: stream.width(),
            });
        }
        Ok(Self {
            device: device.clone(),
            network,
            #[cfg(not(target_family = "wasm"))]
            second: match second {
                Some(second) => Some(SecondInput::load(second, device).await?),
                None => None,
            },
        })
    }

    fn network(weights: Weights, device: &OpenedDevice) -> Result<Network, WeightsError> {
        if ClipConfig::from_name(&weights.metadata.architecture).is_some() {
            let network = ClipBackbone::load(weights, device)?;
            return Ok(Network::Clips(Box::new(network)));
        }
        let network = Backbone::load(weights, device)?;
        Ok(Network::Frames(Box::new(network)))
    }

    /// Name of the network.
    pub(super) fn name(&self) -> &'static str {
        match &self.network {
            Network::Frames(backbone) => backbone.facts().name,
            Network::Clips(network) => network.config().name,
        }
    }

    /// Numbers of a frame or moment, those of the second stream included.
    pub(super) fn width(&self) -> usize {
        match &self.network {
            Network::Frames(backbone) => {
                #[cfg(not(target_family = "wasm"))]
                let second = self.second.as_ref().map_or(0, SecondInput::width);
                #[cfg(target_family = "wasm")]
                let second = 0;
                backbone.facts().width + second
            }
            Network::Clips(network) => network.config().width(),
        }
    }

    /// Frames of a window, where the network looks at so many.
    pub(super) fn length(&self) -> Option<usize> {
        self.network.length()
    }

    /// Embeds a frame, or prepares it for its windows.
    pub(super) async fn see(&self, frame: &Frame, before: &mut Before) -> Result<Seen, LensError> {
        let people = before.people.take();
        let backbone = match &self.network {
            Network::Frames(backbone) => backbone,
            Network::Clips(network) => return Ok(Seen::Frame(network.prepare(frame))),
        };
        #[cfg_attr(
            target_family = "wasm",
            expect(unused_mut, reason = "a page reads one stream")
        )]
        let mut numbers = embed(backbone, frame, &self.device).await?;
        #[cfg(not(target_family = "wasm"))]
        if let Some(second) = &self.second {
            let before = &mut before.frame;
            numbers.extend(second.see(frame, people, before, &self.device).await?);
        }
        #[cfg(target_family = "wasm")]
        drop(people);
        Ok(Seen::Embedding(numbers))
    }

    /// What the head reads of a window, `[moments, width]` row by row; with embeddings each frame is a moment.
    ///
    /// # Panics
    ///
    /// If there are not as many frames as the network looks at.
    pub(super) async fn window(&self, frames: &[&Seen]) -> Result<Vec<f32>, LensError> {
        let mut values: Vec<f32> = Vec::with_capacity(frames.len() * self.width());
        let mut clip: Vec<&ClipFrame> = Vec::new();
        for seen in frames {
            match seen {
                Seen::Embedding(embedding) => values.extend(embedding),
                Seen::Frame(frame) => clip.push(frame),
            }
        }
        if let Network::Clips(network) = &self.network {
            let features = network.embed(&clip).expect("a window of prepared frames");
            let read = read_back(vec![features]).await;
            // A lost device gives numbers too.
            self.device.check()?;
            values = read.map_err(LensError::read_back)?.swap_remove(0);
        }
        Ok(values)
    }
}
