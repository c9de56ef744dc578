//! Renames the published `faceres` model into the keys of its network.
//!
//! The tfjs graph is MobileNetV1 1.0 at 224 pixels. `input_1` goes straight into the first convolution: nothing
//! is subtracted inside the graph. The package's own caller feeds plain 0-255 pixels; the network was trained
//! (HSE_FaceRec_tf) on RGB minus (123.68, 116.779, 103.939), and that is what the metadata says. Every
//! convolution is SAME-padded and followed by an addition and a clamp to [0, 6]. Batch norm is folded into the
//! dense convolutions; the depthwise ones keep their scale as a separate multiplication
//! (`conv_dw_N_bn/batchnorm_1/mul`), which is folded here. `global_pooling/Mean` gives the 1024-d embedding.
//! What follows, age and gender of the person, is in no canonical file; [`age_and_gender_from_tfjs`] reads it for the
//! evaluation by groups alone.
//!
//! All published numbers are 16-bit floats. The product of two of them fits 32 bits exactly, so storing the
//! depthwise kernels in 32 bits and everything else in 16 loses nothing.

use crate::architecture::{Architecture, Convolution, Coupling, Layers, MobileNetConfig};
use crate::error::WeightsError;
use crate::layout::{depthwise_from_hwcm, oihw_from_hwio};
use crate::metadata::Metadata;
use crate::weights::Weights;

const FACERES: Architecture = Architecture::MobileNetV1(MobileNetConfig::FACERES);

/// Gives `conv_stem.*` and `blocks.N.conv_dw.*`, `blocks.N.conv_pw.*` (weights `[out, in / groups, height, width]`
/// and biases) from the tensors of `faceres.json`.
///
/// # Errors
///
/// [`WeightsError::Missing`] or [`WeightsError::Shape`] if the tensors are not those of `faceres`.
pub fn faceres_from_tfjs(published: &Weights) -> Result<Weights, WeightsError> {
    let mut weights = Weights::new(Metadata {
        architecture: FACERES.name().to_owned(),
        ..Metadata::default()
    });
    for layer in Layers::new(FACERES).convolutions() {
        let kernel = kernel(published, &layer)?;
        let outputs = layer.config.outputs();
        let bias = format!("{}_bn/batchnorm_1/sub", layer.published.layer);
        let bias = published.values(&bias, &[outputs])?.to_vec();
        let shape = layer.config.weight_shape().to_vec();
        weights.insert(format!("{}.weight", layer.name), shape, kernel)?;
        weights.insert(format!("{}.bias", layer.name), vec![outputs], bias)?;
    }
    Ok(weights)
}

/// What age and gender are computed with: name, inputs and outputs of each layer.
const AGE_AND_GENDER: [(&str, usize, usize); 3] = [
    ("feats", 1024, 256),
    ("age_pred", 256, 100),
    ("gender_pred", 256, 1),
];

/// Gives `feats.*`, `age_pred.*` and `gender_pred.*` (weights `[outputs, inputs]` and biases) from the tensors of
/// `faceres.json`: ReLU follows `feats`, which reads the embedding; softmax over years follows `age_pred`, a sigmoid
/// `gender_pred`.
///
/// # Errors
///
/// As [`faceres_from_tfjs`].
pub fn age_and_gender_from_tfjs(published: &Weights) -> Result<Weights, WeightsError> {
    let mut weights = Weights::new(Metadata {
        architecture: "faceres-age-gender".to_owned(),
        ..Metadata::default()
    });
    for (name, inputs, outputs) in AGE_AND_GENDER {
        let kernel = published.values(&format!("{name}/kernel"), &[inputs, outputs])?;
        let bias = published.values(&format!("{name}/bias"), &[outputs])?;
        let columns = (0..outputs).flat_map(|output| kernel.iter().skip(output).step_by(outputs));
        let weight = columns.copied().collect();
        weights.insert(format!("{name}.weight"), vec![outputs, inputs], weight)?;
        weights.insert(format!("{name}.bias"), vec![outputs], bias.to_vec())?;
    }
    Ok(weights)
}

/// `[out, in / groups, height, width]`, the scale of depthwise kernels multiplied in.
fn kernel(published: &Weights, layer: &Convolution) -> Result<Vec<f32>, WeightsError> {
    let name = &layer.published.layer;
    let [outputs, inputs, height, width] = layer.config.weight_shape();
    if let Coupling::Depthwise { channels } = layer.config.coupling {
        let axes = [height, width, channels, 1];
        let kernel = published.values(&format!("{name}/depthwise_kernel"), &axes)?;
        let scale = published.values(&format!("{name}_bn/batchnorm_1/mul"), &[channels])?;
        let mut kernel = depthwise_from_hwcm(kernel, axes);
        for (channel, scale) in kernel.chunks_exact_mut(height * width).zip(scale) {
            channel.iter_mut().for_each(|value| *value *= scale);
        }
        return Ok(kernel);
    }
    let axes = [height, width, inputs, outputs];
    let kernel = published.values(&format!("{name}/convolution/merged_input"), &axes)?;
    Ok(oihw_from_hwio(kernel, axes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Input and output channels of the thirteen blocks.
    const BLOCKS: [(usize, usize); 13] = [
        (32, 64),
        (64, 128),
        (128, 128),
        (128, 256),
        (256, 256),
        (256, 512),
        (512, 512),
        (512, 512),
        (512, 512),
        (512, 512),
        (512, 512),
        (512, 1024),
        (1024, 1024),
    ];

    /// A published table in which every value is its index within its tensor.
    fn published() -> Weights {
        let mut weights = Weights::default();
        let mut add = |name: String, shape: Vec<usize>| {
            let count = shape.iter().product::<usize>();
            let values = (0..count).map(|index| index as f32).collect();
            weights.insert(name, shape, values).expect("matching count");
        };
        add(
            "conv1/convolution/merged_input".to_owned(),
            vec![3, 3, 3, 32],
        );
        add("conv1_bn/batchnorm_1/sub".to_owned(), vec![32]);
        for (block, (input, output)) in BLOCKS.into_iter().enumerate() {
            let number = block + 1;
            add(
                format!("conv_dw_{number}/depthwise_kernel"),
                vec![3, 3, input, 1],
            );
            add(format!("conv_dw_{number}_bn/batchnorm_1/mul"), vec![input]);
            add(format!("conv_dw_{number}_bn/batchnorm_1/sub"), vec![input]);
            add(
                format!("conv_pw_{number}/convolution/merged_input"),
                vec![1, 1, input, output],
            );
            add(format!("conv_pw_{number}_bn/batchnorm_1/sub"), vec![output]);
        }
        for (name, inputs, outputs) in AGE_AND_GENDER {
            add(format!("{name}/kernel"), vec![inputs, outputs]);
            add(format!("{name}/bias"), vec![outputs]);
        }
        weights
    }

    #[test]
    fn axes_are_turned_and_the_depthwise_scale_is_folded() {
        let weights = faceres_from_tfjs(&published()).expect("all tensors");
        assert_eq!(weights.len(), 2 + 13 * 4);
        // [o, i, y, x] = [5, 2, 1, 0] lies at [y, x, i, o] = [1, 0, 2, 5] of the published kernel.
        let stem = weights
            .values("conv_stem.weight", &[32, 3, 3, 3])
            .expect("there");
        assert_eq!(stem[5 * 27 + 2 * 9 + 3], (3 * 96 + 2 * 32 + 5) as f32);
        // Channel 7 of the kernel at [y, x] = [2, 1], times its scale 7.
        let depthwise = weights
            .values("blocks.0.conv_dw.weight", &[32, 1, 3, 3])
            .expect("there");
        assert_eq!(depthwise[7 * 9 + 7], (7 * 32 + 7) as f32 * 7.0);
        let pointwise = weights
            .values("blocks.12.conv_pw.weight", &[1024, 1024, 1, 1])
            .expect("there");
        assert_eq!(pointwise[3 * 1024 + 9], (9 * 1024 + 3) as f32);
    }

    #[test]
    fn age_and_gender_stand_apart_from_the_trunk() {
        let mut published = published();
        let weights = age_and_gender_from_tfjs(&published).expect("all tensors");
        assert_eq!(weights.len(), 6);
        let age = weights.values("age_pred.weight", &[100, 256]);
        // [output, input] = [7, 3] lies at [3, 7] of the published kernel.
        assert_eq!(age.expect("there")[7 * 256 + 3], (3 * 100 + 7) as f32);
        published.remove("gender_pred/bias");
        let error = age_and_gender_from_tfjs(&published).expect_err("incomplete");
        assert!(
            error
                .to_string()
                .starts_with("weight `gender_pred/bias` is missing"),
            "{error}"
        );
    }

    #[test]
    fn another_model_is_refused() {
        let mut other = published();
        other
            .insert(
                "conv_dw_4/depthwise_kernel",
                vec![5, 5, 128, 1],
                vec![0.0; 3200],
            )
            .expect("matching count");
        assert_eq!(
            faceres_from_tfjs(&other).expect_err("5x5").to_string(),
            "weight `conv_dw_4/depthwise_kernel` has shape [5, 5, 128, 1], expected [3, 3, 128, 1]"
        );
    }
}
