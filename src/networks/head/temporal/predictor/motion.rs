//! Motion head: changes of the embeddings from frame to frame.

use super::Predict;
use super::parameters::Parameters;
use super::rows::Rows;
use super::tcn::Tcn;
use crate::head::temporal::CLASSES;
use crate::head::temporal::motion::{
    self, BLEND, CHANGE_MEAN, CHANGE_SCALE, LEVEL_MEAN, LEVEL_SCALE, LINEAR,
};
use crate::weights::WeightsError;

#[derive(Debug)]
pub(super) struct Motion {
    level: Standard,
    change: Standard,
    network: Option<Tcn>,
    /// Weights of the linear model over the mean standardised changes.
    linear: Vec<f32>,
    /// Weight of the network, weight of the linear model, bias.
    blend: [f32; 3],
}

/// Standardisation of each feature: `(x - mean) / scale`.
#[derive(Debug)]
struct Standard {
    mean: Vec<f32>,
    scale: Vec<f32>,
}

impl Motion {
    pub(super) fn load(has_network: bool, source: &mut Parameters) -> Result<Self, WeightsError> {
        let features = motion::stored_features(source.weights)?;
        let network = has_network.then(|| Tcn::load(source)).transpose()?;
        if let Some(network) = &network {
            motion::expect_two_per_feature(network.features(), features)?;
        }
        let mut values = |name| Ok(source.take(name, &[features])?.to_vec());
        let (level, change, linear) = (
            Standard {
                mean: values(LEVEL_MEAN)?,
                scale: values(LEVEL_SCALE)?,
            },
            Standard {
                mean: values(CHANGE_MEAN)?,
                scale: values(CHANGE_SCALE)?,
            },
            values(LINEAR)?,
        );
        let blend = source.take(BLEND, &[3])?;
        Ok(Self {
            level,
            change,
            network,
            linear,
            blend: [blend[0], blend[1], blend[2]],
        })
    }
}

impl Predict for Motion {
    fn features(&self) -> usize {
        self.linear.len()
    }

    fn logits(&self, frames: Rows) -> Rows {
        let (count, width) = (frames.count(), frames.width);
        // A single frame is repeated: its changes are 0.
        let frames = match count {
            1 => Rows::repeated(&frames.values, 2),
            _ => frames,
        };
        let (before, after) = (
            &frames.values[..frames.values.len() - width],
            &frames.values[width..],
        );
        let changes = after
            .iter()
            .zip(before)
            .map(|(after, before)| (after - before).abs());
        let changes = self.change.forward(Rows::new(changes.collect(), width));
        let linear = changes.mean();
        let linear: f32 = linear.iter().zip(&self.linear).map(|(a, b)| a * b).sum();

        let [network_weight, linear_weight, bias] = self.blend;
        let half = (linear * linear_weight + bias) / 2.0;
        let mut logits: [f32; CLASSES] = [-half, half];
        if let Some(network) = &self.network {
            let levels = self.level.forward(Rows::new(after.to_vec(), width));
            let inputs = changes.iter().zip(levels.iter());
            let inputs = inputs.flat_map(|(change, level)| [change, level].concat());
            let inputs = Rows::new(inputs.collect(), 2 * width);
            let means = network.logits(inputs).mean();
            for (logit, mean) in logits.iter_mut().zip(means) {
                *logit += mean * network_weight;
            }
        }
        Rows::repeated(&logits, count)
    }
}

impl Standard {
    fn forward(&self, mut frames: Rows) -> Rows {
        for row in frames.iter_mut() {
            for (value, (mean, scale)) in row.iter_mut().zip(self.mean.iter().zip(&self.scale)) {
                *value = (*value - mean) / scale;
            }
        }
        frames
    }
}
