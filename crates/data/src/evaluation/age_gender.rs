//! What the published `faceres` guesses of a person's age and gender: groups of an evaluation, and nothing else.
//!
//! The engine does not know these outputs, and no report of a face has them. Age is read as the network's author does
//! (HSE_FaceRec_tf): the two likeliest years, weighted by their probabilities.

use affectlens::{
    backbone::{self, Facts},
    calibration::softmax,
    crop,
    device::OpenedDevice,
    error::LensError,
    frame::Frame,
    kernel::{Activation, Network, Plan, Weighted, read_back},
    weights::{Weights, WeightsError, age_and_gender_from_tfjs, faceres_from_tfjs},
};

use super::EvaluationError;

/// Age of the first class, years.
const YOUNGEST: f32 = 1.0;

/// What a network takes a person for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AgeAndGender {
    /// Years.
    pub age: f32,
    /// From 0, female, to 1, male.
    pub gender: f32,
}

/// The published `faceres` with all of its outputs.
#[derive(Debug)]
pub struct AgeAndGenderReader {
    network: Network,
    device: OpenedDevice,
    facts: Facts,
}

impl AgeAndGenderReader {
    /// Takes the tensors of the published file, as [`published_faceres`](affectlens::weights::published_faceres) gives
    /// them.
    ///
    /// # Errors
    ///
    /// [`EvaluationError::Weights`] if they are those of another network.
    pub fn load(published: &Weights, device: &OpenedDevice) -> Result<Self, EvaluationError> {
        let trunk = faceres_from_tfjs(published)?;
        let layers = age_and_gender_from_tfjs(published)?;
        let facts = Facts::of(&trunk.metadata.architecture)?;
        let side = facts.input_side as usize;
        let mut planner = Plan::of_input(side, side, 3);
        let faces = planner.input();
        let (embedding, _) = backbone::plan(&trunk, &mut planner, faces)?;
        let mut layer = |name: &str, input, activation| -> Result<_, WeightsError> {
            let bias = format!("{name}.bias");
            let outputs = layers.get(&bias).map_or(0, |bias| bias.values.len());
            let inputs = planner.shape(input).channels;
            let weight = layers.values(&format!("{name}.weight"), &[outputs, inputs])?;
            let bias = layers.values(&bias, &[outputs])?;
            let weighted = Weighted::from_outputs_first(weight, bias, 1, activation);
            Ok(planner.pointwise(input, weighted))
        };
        let features = layer("feats", embedding, Activation::Relu)?;
        let age = layer("age_pred", features, Activation::Identity)?;
        let gender = layer("gender_pred", features, Activation::Identity)?;
        let plan = planner.finish(&[age, gender]);
        Ok(Self {
            network: Network::new(&plan, device),
            device: device.clone(),
            facts,
        })
    }

    /// Reads faces, each a whole picture.
    ///
    /// # Errors
    ///
    /// [`EvaluationError::Lens`] if the device fails.
    pub fn read(&self, faces: &[Frame]) -> Result<Vec<AgeAndGender>, EvaluationError> {
        if faces.is_empty() {
            return Ok(Vec::new());
        }
        let inputs: Vec<Frame> = faces
            .iter()
            .map(|face| crop::resize(face, self.facts.input_side))
            .collect();
        let batch = crop::batch(&inputs, &self.facts.normalisation, &self.device.device)
            .map_err(LensError::from)?;
        let values = pollster::block_on(read_back(vec![self.network.forward(batch)]));
        let values = values.map_err(|error| LensError::ReadBack {
            reason: error.to_string(),
        })?;
        self.device.check().map_err(LensError::from)?;
        let ranges = self.network.outputs();
        let read = |row: &[f32]| AgeAndGender {
            age: years(&softmax(&row[ranges[0].clone()])),
            gender: 1.0 / (1.0 + (-row[ranges[1].start]).exp()),
        };
        let width = ranges[1].end;
        Ok(values[0].chunks_exact(width).map(read).collect())
    }
}

/// The two likeliest years, weighted.
fn years(probabilities: &[f32]) -> f32 {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|a, b| probabilities[*b].total_cmp(&probabilities[*a]));
    order.truncate(2);
    let sum: f32 = order.iter().map(|&year| probabilities[year]).sum();
    let weighted = order.iter().map(|&year| year as f32 * probabilities[year]);
    YOUNGEST + weighted.sum::<f32>() / sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use affectlens::weights::{cache_dir, published_faceres};

    #[test]
    fn age_lies_between_the_two_likeliest_years() {
        let mut probabilities = vec![0.001; 100];
        probabilities[30] = 0.6;
        probabilities[33] = 0.3;
        assert!((years(&probabilities) - 32.0).abs() < 1e-4);
    }

    /// Made with `tests/goldens/age_gender.py`: f32 sums through 29 layers.
    #[test]
    #[ignore = "needs fetched weights: run cargo xtask test"]
    fn age_and_gender_are_those_of_the_published_graph() {
        let published = published_faceres(&cache_dir()).expect("fetched");
        let reader = AgeAndGenderReader::load(&published, &OpenedDevice::cpu());
        let reader = reader.expect("the published tensors");
        let picture = |number: usize| {
            let level = |place: usize| {
                let (row, column, channel) = (place / 3 / 224, place / 3 % 224, place % 3);
                let level = row * (number + 1) + column * (channel + 2);
                u8::try_from(level % 256).expect("a level")
            };
            let pixels = (0..3 * 224 * 224).map(level).collect();
            Frame::from_rgb(224, 224, pixels).expect("whole pixels")
        };
        let persons = reader.read(&[0, 1, 2].map(picture)).expect("the CPU");
        let expected = [
            (25.4783, 0.876_316),
            (25.8773, 0.919_837),
            (26.3826, 0.901_345),
        ];
        for (person, (age, gender)) in persons.into_iter().zip(expected) {
            assert!((person.age - age).abs() < 1e-3, "{person:?}, {age}");
            assert!(
                (person.gender - gender).abs() < 1e-4,
                "{person:?}, {gender}"
            );
        }
    }

    #[test]
    fn tensors_of_another_network_are_refused() {
        let device = OpenedDevice::cpu();
        let error = AgeAndGenderReader::load(&Weights::default(), &device);
        let error = error.expect_err("nothing there").to_string();
        assert!(error.contains("conv1/convolution/merged_input"), "{error}");
    }
}
