//! Parameters without the names that training scripts wrap around them.
//!
//! Checkpoints hold parameters beside other things, and modules that hold one other module put their name before the
//! names of its parameters.

use crate::error::WeightsError;
use crate::weights::Weights;

/// Attributes of modules that hold one other module: data parallelism and averaging, `torch.compile`, sharding,
/// recomputed activations. They can stand anywhere in a name.
const WRAPPERS: [&str; 4] = [
    "module",
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
];
/// Keys and attributes that the parameters of the network stand under. The first that is there is taken alone: averaged
/// parameters before those that they are an average of, as timm takes them.
const NESTS: [&str; 10] = [
    "state_dict_ema",
    "model_ema",
    "ema_model",
    "ema",
    "model_state_dict",
    "model_state",
    "state_dict",
    "model",
    "net",
    "network",
];
/// Deepest nesting that is followed.
const DEPTH: usize = 8;

/// The network's own name of each parameter; none for what stands beside the network.
pub(crate) fn own_names(names: &[&str]) -> Vec<Option<String>> {
    let mut own: Vec<_> = names
        .iter()
        .map(|name| Some(without_wrappers(name)))
        .collect();
    for _ in 0..DEPTH {
        let Some(nest) = NESTS.into_iter().find(|nest| holds_parameters(&own, nest)) else {
            break;
        };
        for name in &mut own {
            let inner = name.as_deref().and_then(|name| inside(name, nest));
            *name = inner.map(str::to_owned);
        }
    }
    own
}

fn without_wrappers(name: &str) -> String {
    let parts = name.split('.').filter(|part| !WRAPPERS.contains(part));
    parts.collect::<Vec<_>>().join(".")
}

/// What follows `nest.` in a name.
fn inside<'a>(name: &'a str, nest: &str) -> Option<&'a str> {
    name.strip_prefix(nest)?.strip_prefix('.')
}

/// Whether layers stand under `nest`: other things can have such a name as well.
fn holds_parameters(names: &[Option<String>], nest: &str) -> bool {
    let mut inner = names.iter().flatten().filter_map(|name| inside(name, nest));
    inner.any(|name| name.ends_with(".weight"))
}

impl Weights {
    /// The parameters of the network under its own names.
    pub(crate) fn unwrapped(mut self) -> Result<Self, WeightsError> {
        let names: Vec<String> = self.iter().map(|(name, _)| name.to_owned()).collect();
        let borrowed: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut own = Self::new(self.metadata.clone());
        for (name, inner) in names.iter().zip(own_names(&borrowed)) {
            let (Some(inner), Some(tensor)) = (inner, self.remove(name)) else {
                continue;
            };
            if own.get(&inner).is_some() {
                return Err(WeightsError::Malformed {
                    format: "weights",
                    reason: format!("weight `{inner}` occurs twice, the second time as `{name}`"),
                });
            }
            own.put(inner, tensor);
        }
        Ok(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unwrapped(names: &[&str]) -> Vec<String> {
        own_names(names).into_iter().flatten().collect()
    }

    #[test]
    fn wrappers_are_taken_off_in_any_order() {
        for prefix in [
            "",
            "module.",
            "_orig_mod.",
            "module._orig_mod.",
            "_orig_mod.module.",
            "_fsdp_wrapped_module._orig_mod.",
        ] {
            let names = ["conv1.weight", "conv1.bias"];
            let wrapped = names.map(|name| format!("{prefix}{name}"));
            assert_eq!(unwrapped(&wrapped.each_ref().map(String::as_str)), names);
        }
    }

    #[test]
    fn what_stands_beside_the_network_is_left_out() {
        for prefix in [
            "model.",
            "model.net.",
            "state_dict.model.",
            "state_dict.model._orig_mod.",
            "state_dict.net.module.",
            "model_state_dict.module.",
            "model_state.",
            "state_dict_ema.module.",
            "module.model.",
        ] {
            let names = ["conv1.weight", "conv1.bias"].map(|name| format!("{prefix}{name}"));
            let names = ["optimizer.state.0.exp_avg", &names[0], &names[1]];
            assert_eq!(unwrapped(&names), ["conv1.weight", "conv1.bias"]);
        }
    }

    #[test]
    fn a_part_of_the_network_can_be_wrapped() {
        assert_eq!(
            unwrapped(&[
                "encoder._orig_mod.stem.0.weight",
                "temporal_head.proj.weight"
            ]),
            ["encoder.stem.0.weight", "temporal_head.proj.weight"]
        );
    }

    #[test]
    fn averaged_parameters_come_first_where_they_have_names() {
        let names = ["model.fc.weight", "model_ema.module.fc.weight"];
        assert_eq!(own_names(&names), [None, Some("fc.weight".to_owned())]);
        // Averages in a list do not say what they are averages of.
        let names = ["model.fc.weight", "ema.shadow_params.0"];
        assert_eq!(own_names(&names), [Some("fc.weight".to_owned()), None]);
    }

    #[test]
    fn names_that_become_one_are_refused() {
        let mut weights = Weights::default();
        for name in ["fc.weight", "module.fc.weight"] {
            weights.insert(name, vec![1], vec![1.0]).expect("one value");
        }
        assert_eq!(
            weights.unwrapped().expect_err("twice").to_string(),
            "weights file is malformed: weight `fc.weight` occurs twice, the second time as `module.fc.weight`"
        );
    }
}
