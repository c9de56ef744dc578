//! Which MobileViT a checkpoint is, told by its sizes.

use crate::architecture::MobileVitConfig;
use crate::element::malformed;
use crate::error::WeightsError;
use crate::weights::Weights;

/// Name of the publisher's layer that only the second version has.
const SECOND_VERSION: &str = "attn.qkv_proj.weight";

/// Says what another MobileViT is, rather than which of its weights is the first that does not fit. Sizes that belong to none
/// are left to those who read the weights.
///
/// # Errors
///
/// [`WeightsError::Unsupported`] for version 2, [`WeightsError::Architecture`] for another width, and
/// [`WeightsError::Malformed`] for a checkpoint whose parts are those of several networks.
pub(super) fn expect_variant(config: MobileVitConfig, named: &Weights) -> Result<(), WeightsError> {
    let expected = config.name;
    if find(named, SECOND_VERSION).is_some() {
        return Err(WeightsError::Unsupported {
            format: "MobileViT",
            what: format!(
                "separable attention, as version 2 has (expected {expected}, which is of version 1)"
            ),
        });
    }
    let mut told: Option<(String, &str)> = None;
    for (index, (name, axis, _)) in config.told_by().into_iter().enumerate() {
        let Some((name, shape)) = find(named, name) else {
            continue;
        };
        let mut variants = MobileVitConfig::ALL.into_iter();
        let variant = variants.find(|it| shape.get(axis) == Some(&it.told_by()[index].2));
        let Some(MobileVitConfig { name: variant, .. }) = variant else {
            continue;
        };
        match &told {
            Some((first, other)) if *other != variant => {
                return Err(malformed(
                    "MobileViT",
                    format!("weight `{first}` is one of {other}, `{name}` one of {variant}"),
                ));
            }
            Some(_) => {}
            None => told = Some((name.to_owned(), variant)),
        }
    }
    match told {
        Some((_, variant)) if variant != expected => Err(WeightsError::Architecture {
            expected: expected.to_owned(),
            got: variant.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Name and shape of a weight, wherever a larger network keeps this one.
fn find<'a>(named: &'a Weights, end: &str) -> Option<(&'a str, &'a [usize])> {
    let mut weights = named.iter();
    weights.find_map(|(name, tensor)| {
        let before = name.strip_suffix(end)?;
        let is_whole = before.is_empty() || before.ends_with('.');
        is_whole.then_some((name, tensor.shape.as_slice()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::Architecture;
    use crate::convert::{Parameter, StateDict, canonical_weights};
    use crate::label::AFFECTNET_8;
    use crate::published::PublishedWeights;

    /// A checkpoint as published, each name with a prefix; every value of a parameter is its number.
    fn checkpoint(config: MobileVitConfig, prefix: &str, outputs: usize) -> Weights {
        let layout = StateDict::new(Architecture::MobileVit(config)).expect("has a state dict");
        let mut weights = Weights::default();
        let mut add = |name: &str, shape: Vec<usize>, value: u16| {
            let values = vec![f32::from(value); shape.iter().product()];
            let inserted = weights.insert(format!("{prefix}{name}"), shape, values);
            inserted.expect("as many values");
        };
        for (Parameter { name, shape, .. }, number) in layout.parameters().zip(1..) {
            add(&name, shape, number);
        }
        add("head.fc.weight", vec![outputs, config.features], 1);
        add("head.fc.bias", vec![outputs], 2);
        weights
    }

    fn canonical(name: &str, weights: Weights) -> Result<Weights, String> {
        canonical_weights(name, &PublishedWeights::Named(weights))
            .map_err(|error| error.to_string())
    }

    fn zeros(weights: &mut Weights, name: &str, shape: &[usize]) {
        let values = vec![0.0; shape.iter().product()];
        let inserted = weights.insert(name, shape.to_vec(), values);
        inserted.expect("as many values");
    }

    #[test]
    fn every_width_is_read_with_its_outputs() {
        for config in MobileVitConfig::ALL {
            let weights = canonical(config.name, checkpoint(config, "", 10)).expect("whole");
            assert_eq!(weights.metadata.architecture, config.name);
            assert_eq!(weights.metadata.classes, AFFECTNET_8);
            assert_eq!(weights.metadata.extra["outputs"], "affectnet8+va");
            let classifier = weights.get("classifier.weight").expect("ten outputs");
            assert_eq!(classifier.shape, [10, config.features]);
            // Batch norms are gone, layer norms are not.
            assert!(weights.iter().all(|(name, _)| !name.contains(".bn")));
            assert!(weights.get("stages.4.1.transformer.2.norm2.bias").is_some());
            let within = canonical(config.name, checkpoint(config, "student.net.", 10));
            assert!(within == Ok(weights), "{}", config.name);
        }
    }

    #[test]
    fn a_checkpoint_without_a_classifier_embeds_only() {
        let config = MobileVitConfig::XXS;
        let mut weights = checkpoint(config, "", 8);
        weights.remove("head.fc.weight").expect("there");
        let error = canonical(config.name, weights.clone()).expect_err("half of a classifier");
        assert_eq!(
            error,
            "weight `head.fc.bias` does not belong to mobilevit-xxs"
        );
        weights.remove("head.fc.bias").expect("there");
        let weights = canonical(config.name, weights).expect("whole");
        assert!(weights.get("classifier.weight").is_none());
        assert_eq!(weights.metadata.classes, []);
    }

    #[test]
    fn another_width_is_refused_by_its_name() {
        for config in MobileVitConfig::ALL {
            for asked in MobileVitConfig::ALL {
                let error = canonical(asked.name, checkpoint(config, "module.", 1000));
                match (error, config == asked) {
                    (Ok(_), true) => {}
                    (Ok(_), false) => panic!("{} as {}", config.name, asked.name),
                    (Err(error), _) => {
                        let (expected, got) = (asked.name, config.name);
                        let expected =
                            format!("weights are for architecture `{got}`, expected `{expected}`");
                        assert_eq!(error, expected);
                    }
                }
            }
        }
    }

    #[test]
    fn parts_of_two_networks_are_refused() {
        let mut weights = checkpoint(MobileVitConfig::S, "", 10);
        zeros(&mut weights, "head.fc.weight", &[10, 384]);
        assert_eq!(
            canonical("mobilevit-s", weights).expect_err("the classifier of another"),
            "MobileViT file is malformed: weight `stages.2.1.norm.weight` is one of mobilevit-s, `head.fc.weight` one of \
             mobilevit-xs"
        );
        let mut weights = checkpoint(MobileVitConfig::S, "", 10);
        zeros(&mut weights, "head.fc.weight", &[10, 641]);
        assert_eq!(
            canonical("mobilevit-s", weights).expect_err("a classifier of none"),
            "weight `classifier.weight` has shape [10, 641], expected [10, 640]"
        );
    }

    #[test]
    fn the_second_version_is_refused_by_what_it_is() {
        let name = "stages.2.1.transformer.0.attn.qkv_proj.weight";
        for prefix in ["", "module."] {
            let mut second = Weights::default();
            zeros(&mut second, &format!("{prefix}{name}"), &[129, 64, 1, 1]);
            zeros(&mut second, &format!("{prefix}head.fc.weight"), &[10, 256]);
            assert_eq!(
                canonical("mobilevit-s", second).expect_err("another network"),
                "MobileViT file uses separable attention, as version 2 has (expected mobilevit-s, which is of version 1), \
                 which is not supported"
            );
        }
    }

    #[test]
    fn missing_misshapen_and_unknown_weights_are_named() {
        let config = MobileVitConfig::XS;
        let name = "stages.3.1.transformer.2.attn.qkv.bias";
        let mut weights = checkpoint(config, "", 10);
        weights.remove(name).expect("there");
        let error = canonical(config.name, weights).expect_err("a bias less");
        assert!(
            error.starts_with(&format!("weight `{name}` is missing")),
            "{error}"
        );
        let mut weights = checkpoint(config, "", 10);
        zeros(&mut weights, name, &[3, 120]);
        let error = canonical(config.name, weights).expect_err("another shape");
        assert_eq!(
            error,
            format!("weight `{name}` has shape [3, 120], expected [360]")
        );
        let mut weights = checkpoint(config, "", 10);
        let name = "stages.4.1.conv_fusion.conv.weight";
        zeros(&mut weights, name, &[96, 96, 3, 3]);
        assert_eq!(
            canonical(config.name, weights).expect_err("no fusion"),
            format!("weight `{name}` has shape [96, 96, 3, 3], expected [96, 192, 3, 3]")
        );
        // What timm's `semobilevit_s` has beside its convolutions.
        let mut weights = checkpoint(config, "", 10);
        zeros(&mut weights, "stages.0.0.attn.fc1.bias", &[8]);
        assert_eq!(
            canonical(config.name, weights).expect_err("squeeze-and-excite"),
            "weight `stages.0.0.attn.fc1.bias` does not belong to mobilevit-xs"
        );
    }

    #[test]
    fn a_graph_of_another_width_is_refused_by_its_name() {
        let graph = |width| {
            let mut named = Weights::default();
            zeros(&mut named, "stages.2.1.norm.weight", &[width]);
            let graph = PublishedWeights::Graph {
                named,
                convolutions: Vec::new(),
                operations: Vec::new(),
                classifier: None,
            };
            let error = canonical_weights("mobilevit-s", &graph).expect_err("no convolutions");
            error.to_string()
        };
        assert_eq!(
            graph(64),
            "weights are for architecture `mobilevit-xxs`, expected `mobilevit-s`"
        );
        assert_eq!(
            graph(144),
            "graph file is malformed: 0 convolutions, expected the 35 of mobilevit-s"
        );
    }
}
