//! Labels of expressions, action units and blendshapes, which travel in the metadata of weights files.

pub use affectlens_formats::label::{
    AFF_WILD2, AFF_WILD2_ACTION_UNITS, AFFECTNET_7, AFFECTNET_8, ActionUnit, BLENDSHAPES,
    Expression, VIOLENCE,
};
