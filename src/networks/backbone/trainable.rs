//! Backbones for whole frames or clips of them whose parameters can be trained.

use std::collections::{BTreeMap, HashMap};

use affectlens_formats::architecture::{
    Architecture, CLIP_NAMES, CONFIG, ClipConfig, Facts, NAMES,
};
use affectlens_formats::{ParameterFill, StateDict};
use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Tensor};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::plain::PlainNetwork;
use crate::weights::{Metadata, Weights, WeightsError};

/// Layer scale before training, as ConvNeXt's authors set it.
const LAYER_SCALE: f32 = 1e-6;

/// A backbone for whole frames or clips of them in its published layout, batch norm and layer scale not folded.
///
/// On a device with gradients batch norms take the batch's statistics and remember them as PyTorch's do; elsewhere, and
/// after [`Module::valid`], they use what they remember.
#[derive(Module, Debug)]
pub struct TrainableBackbone {
    network: PlainNetwork,
    #[module(skip)]
    facts: Facts,
    /// The clips that it looks at; `None` if it looks at frames one by one.
    #[module(skip)]
    clip: Option<ClipConfig>,
    #[module(skip)]
    parameters: Vec<Named>,
}

/// A parameter or running statistic in the published layout.
#[derive(Clone, Debug)]
struct Named {
    name: String,
    shape: Vec<usize>,
    id: ParamId,
}

impl Named {
    fn is_statistic(&self) -> bool {
        self.name.contains(".running_")
    }
}

impl TrainableBackbone {
    /// Takes the parameters of a state dict under timm's or torchvision's names, or under `encoder`; a classifier is left
    /// out.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Architecture`] for a network that does not describe whole frames or clips; other [`WeightsError`]s for a
    /// missing, misshapen or unexpected parameter.
    pub fn load(name: &str, published: &Weights, device: &Device) -> Result<Self, WeightsError> {
        match ClipConfig::of_published(name, &published.metadata)? {
            Some(config) => Self::of_clips(config, published, device),
            None => Self::of(architecture(name)?, published, device),
        }
    }

    /// The same of a network over clips of another size than the published one.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] for a missing, misshapen or unexpected parameter.
    pub fn of_clips(
        config: ClipConfig,
        published: &Weights,
        device: &Device,
    ) -> Result<Self, WeightsError> {
        Self::of(Architecture::Clip(config), published, device)
    }

    fn of(
        architecture: Architecture,
        published: &Weights,
        device: &Device,
    ) -> Result<Self, WeightsError> {
        let layout = StateDict::new(architecture).expect("has a state dict");
        let weights = layout.unfolded(published)?;
        let (network, ids) = PlainNetwork::unfolded(architecture, &weights, device)?;
        let mut shapes: BTreeMap<_, _> = layout
            .parameters()
            .map(|parameter| (parameter.name, parameter.shape))
            .collect();
        let parameters = ids.into_iter().map(|(name, id)| Named {
            shape: shapes.remove(&name).expect("every layer is published"),
            name,
            id,
        });
        Ok(Self {
            network,
            facts: architecture.facts().expect("a backbone has facts"),
            clip: match architecture {
                Architecture::Clip(config) => Some(config),
                _ => None,
            },
            parameters: parameters.collect(),
        })
    }

    /// A network with random weights, the same for the same seed on every device: convolutions uniform in
    /// `±sqrt(6 / inputs of an output)` (He et al. 2015), biases 0, norms neutral, layer scales 1e-6.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Architecture`] for a network that does not describe whole frames or clips.
    pub fn init(name: &str, seed: u64, device: &Device) -> Result<Self, WeightsError> {
        let architecture = architecture(name)?;
        let layout = StateDict::new(architecture).expect("has a state dict");
        let mut random = StdRng::seed_from_u64(seed);
        let mut weights = Weights::default();
        for parameter in layout.parameters() {
            let count: usize = parameter.shape.iter().product();
            let values = match parameter.fill {
                ParameterFill::Zeros => vec![0.0; count],
                ParameterFill::Ones => vec![1.0; count],
                ParameterFill::LayerScale => vec![LAYER_SCALE; count],
                ParameterFill::Random => {
                    let inputs: usize = parameter.shape[1..].iter().product();
                    let bound = (6.0 / inputs as f32).sqrt();
                    (0..count)
                        .map(|_| random.random_range(-bound..bound))
                        .collect()
                }
            };
            weights.insert(parameter.name, parameter.shape, values)?;
        }
        Self::of(architecture, &weights, device)
    }

    /// Name, input and embedding.
    pub fn facts(&self) -> Facts {
        self.facts
    }

    /// The clips that it looks at; `None` if it looks at frames one by one.
    pub fn clip(&self) -> Option<ClipConfig> {
        self.clip
    }

    /// Embeds frames.
    ///
    /// # Shapes
    ///
    /// - frames: `[batch, 3, side, side]`, RGB, normalised as [`Facts::normalisation`] says
    /// - output: `[batch, width]`, not unit length
    pub fn forward(&self, frames: Tensor<4>) -> Tensor<2> {
        self.network.forward(frames).swap_remove(0)
    }

    /// Gives the features of the moments of clips: of every frame, or of as many as a network over clips has.
    ///
    /// # Shapes
    ///
    /// - frames: `[clips * time, 3, side, side]`, RGB, normalised as [`Facts::normalisation`] says, clip after clip
    /// - output: `[clips, moments, width]`
    ///
    /// # Panics
    ///
    /// If clips have another number of frames than [`clip`](Self::clip) says.
    pub fn forward_clips(&self, frames: Tensor<4>, clips: usize) -> Tensor<3> {
        let [count, channels, height, width] = frames.dims();
        let time = count / clips.max(1);
        let features = match self.clip {
            None => self.forward(frames),
            Some(config) => {
                assert_eq!(time, config.frames, "frames of a clip");
                let clip: Tensor<5> = frames.reshape([clips, time, channels, height, width]);
                let below = [clips, channels, time * height, width];
                self.forward(clip.swap_dims(1, 2).reshape(below))
            }
        };
        let width = self.facts.width;
        let [rows, values] = features.dims();
        features.reshape([clips, rows * values / (clips.max(1) * width), width])
    }

    /// Published names of all that is trained, each tensor once; running statistics are not.
    pub fn parameters(&self) -> Vec<(String, ParamId)> {
        let parameters = self.parameters.iter();
        parameters
            .filter(|parameter| !parameter.is_statistic())
            .map(|parameter| (parameter.name.clone(), parameter.id))
            .collect()
    }

    /// The state dict under published names, running statistics included: what [`load`](Self::load) takes and
    /// [`canonical_weights`](super::canonical_weights) folds.
    ///
    /// Reads back from the device.
    ///
    /// # Panics
    ///
    /// If the device is lost.
    pub fn to_weights(&self) -> Weights {
        let mut values = Values::default();
        // Running statistics of the last batch are only in what this gives.
        self.network.valid().visit(&mut values);
        let config = self.clip.and_then(|clip| clip.config());
        let mut weights = Weights::new(Metadata {
            extra: config
                .map(|json| (CONFIG.to_owned(), json))
                .into_iter()
                .collect(),
            ..Metadata::default()
        });
        for Named { name, shape, id } in &self.parameters {
            let values = values.0.remove(id).expect("the network's own");
            weights
                .insert(name, shape.clone(), values)
                .expect("training keeps shapes");
        }
        weights
    }
}

fn architecture(name: &str) -> Result<Architecture, WeightsError> {
    if let Some(config) = ClipConfig::from_name(name) {
        return Ok(Architecture::Clip(config));
    }
    match Architecture::backbone(name) {
        Ok(architecture) if architecture.describes_frames() => Ok(architecture),
        _ => {
            let frames = |name: &&str| {
                Architecture::backbone(name).is_ok_and(Architecture::describes_frames)
            };
            let names = NAMES.into_iter().filter(frames);
            let names: Vec<_> = names.chain(CLIP_NAMES).collect();
            Err(WeightsError::Architecture {
                expected: names.join("`, `"),
                got: name.to_owned(),
            })
        }
    }
}

/// Values by parameter.
#[derive(Default)]
struct Values(HashMap<ParamId, Vec<f32>>);

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let values = parameter.val().into_data().convert::<f32>();
        let values = values.try_into_vec().expect("just converted");
        self.0.insert(parameter.id, values);
    }
}
