//! The one network of a classifier: the backbone, and everything that looks at its outputs.

use std::mem;

use super::ClassifierWeights;
use crate::{
    backbone::{self, Facts},
    calibration::ActionUnitSettings,
    error::LensError,
    head::{ActionUnits, Mlp, ValenceArousal},
    kernel::{Map, Plan, Planner},
    label::Expression,
    part::expect_embedding,
    report::ValenceArousalSource,
    role::Role,
    weights::Weights,
};

/// A network from faces to the logits of all classifiers, and what its outputs are.
pub(super) struct ClassifierPlan {
    pub(super) facts: Facts,
    pub(super) plan: Plan,
    pub(super) outputs: Outputs,
    /// Classes of the pretrained classifier; none without one.
    pub(super) pretrained_classes: Vec<Expression>,
    /// Classes of the adapted head; none without one.
    pub(super) head_classes: Vec<Expression>,
    pub(super) valence_arousal: ValenceArousalSource,
    /// Settings of the head for action units.
    pub(super) action_units: Option<ActionUnitSettings>,
}

/// Which of the network's outputs belongs to which part.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    maps: Vec<Map>,
    pub(super) embedding: usize,
    pub(super) head: Option<usize>,
    pub(super) pretrained: Option<usize>,
    pub(super) valence_arousal: Option<usize>,
    /// Outputs of the network on embeddings and of the one on logits.
    pub(super) action_units: Option<[usize; 2]>,
}

/// A classifier in the plan.
struct Classifier {
    logits: Map,
    classes: Vec<Expression>,
}

/// A plan in the making: the backbone stands, the classifiers are added one after the other.
struct Builder<'a> {
    weights: &'a ClassifierWeights,
    facts: Facts,
    planner: Planner,
    embedding: Map,
    /// What the backbone gives beside the embedding.
    backbone_logits: Option<Map>,
    backbone_outputs: backbone::Outputs,
    outputs: Outputs,
}

impl ClassifierPlan {
    /// Plans the backbone, whose weights are gone afterwards, then both classifiers of expressions, then the heads of the
    /// other tasks.
    ///
    /// # Errors
    ///
    /// [`LensError`] if a file does not fit its architecture or the files do not fit each other.
    pub(super) fn build(weights: &mut ClassifierWeights) -> Result<Self, LensError> {
        let mut builder = Builder::new(weights)?;
        let pretrained = builder.pretrained()?;
        let head = builder.classifier(Role::Head, builder.weights.head.as_ref())?;
        if head.is_none() && pretrained.is_none() {
            return Err(builder.no_classifier());
        }
        builder.outputs.head = builder.give_out(head.as_ref());
        builder.outputs.pretrained = builder.give_out(pretrained.as_ref());
        builder.outputs.embedding = builder.outputs.add(builder.embedding);
        // The other heads look at the backbone's own outputs, or at the pretrained classifier in their place.
        let scores = pretrained.as_ref().map(|classifier| classifier.logits);
        let scores = builder.backbone_logits.or(scores);
        let action_units = builder.action_units(scores)?;
        let valence_arousal = builder.valence_arousal(scores)?;
        let classes = |it: Option<Classifier>| it.map_or_else(Vec::new, |it| it.classes);
        Ok(Self {
            facts: builder.facts,
            plan: builder.planner.finish(&builder.outputs.maps),
            outputs: builder.outputs,
            pretrained_classes: classes(pretrained),
            head_classes: classes(head),
            valence_arousal,
            action_units,
        })
    }
}

impl<'a> Builder<'a> {
    fn new(weights: &'a mut ClassifierWeights) -> Result<Self, LensError> {
        let backbone = mem::take(&mut weights.backbone);
        let wrong = || LensError::weights(Role::Backbone);
        let facts = Facts::of_weights(&backbone).map_err(wrong())?;
        let backbone_outputs = backbone::outputs(&backbone).map_err(wrong())?;
        let side = facts.input_side as usize;
        let mut planner = Plan::of_input(side, side, 3);
        let faces = planner.input();
        let (embedding, backbone_logits) =
            backbone::plan(backbone, &mut planner, faces).map_err(wrong())?;
        Ok(Self {
            weights,
            facts,
            planner,
            embedding,
            backbone_logits,
            backbone_outputs,
            outputs: Outputs::default(),
        })
    }

    /// The file that stands for the pretrained model, else the backbone's own classifier.
    fn pretrained(&mut self) -> Result<Option<Classifier>, LensError> {
        let file = self.weights.pretrained.as_ref();
        if let Some(classifier) = self.classifier(Role::Pretrained, file)? {
            return Ok(Some(classifier));
        }
        let classes = self.backbone_outputs.classes.clone();
        let logits = self.backbone_logits.filter(|_| !classes.is_empty());
        Ok(logits.map(|logits| Classifier { logits, classes }))
    }

    /// A classifier over the embedding.
    fn classifier(
        &mut self,
        role: Role,
        file: Option<&Weights>,
    ) -> Result<Option<Classifier>, LensError> {
        let Some(file) = file else {
            return Ok(None);
        };
        self.expect_embedding(role, file)?;
        let logits = Mlp::plan(file, &mut self.planner, self.embedding);
        Ok(Some(Classifier {
            logits: logits.map_err(LensError::weights(role))?,
            classes: file.metadata.classes.clone(),
        }))
    }

    /// The head for action units, over embedding and scores.
    fn action_units(
        &mut self,
        scores: Option<Map>,
    ) -> Result<Option<ActionUnitSettings>, LensError> {
        let Some(file) = &self.weights.action_units_head else {
            return Ok(None);
        };
        self.expect_embedding(Role::ActionUnitsHead, file)?;
        let scores = scores.ok_or_else(|| self.no_classifier())?;
        let logits = ActionUnits::plan(file, &mut self.planner, self.embedding, scores)
            .map_err(LensError::weights(Role::ActionUnitsHead))?;
        let units = self.planner.shape(logits[0]).channels;
        self.outputs.action_units = Some(logits.map(|logits| self.outputs.add(logits)));
        let settings = ActionUnitSettings::read(&file.metadata.extra, units)?;
        Ok(Some(settings))
    }

    /// Valence and arousal: a head over the scores, else the backbone's own outputs, else nothing to plan.
    fn valence_arousal(&mut self, scores: Option<Map>) -> Result<ValenceArousalSource, LensError> {
        if let Some(file) = &self.weights.valence_arousal_head {
            self.expect_embedding(Role::ValenceArousalHead, file)?;
            let scores = scores.ok_or_else(|| self.no_classifier())?;
            let values = ValenceArousal::plan(file, &mut self.planner, scores)
                .map_err(LensError::weights(Role::ValenceArousalHead))?;
            self.outputs.valence_arousal = Some(self.outputs.add(values));
            return Ok(ValenceArousalSource::Head);
        }
        if self.backbone_outputs.valence_arousal {
            let logits = self.backbone_logits;
            self.outputs.valence_arousal = logits.map(|logits| self.outputs.add(logits));
            return Ok(ValenceArousalSource::Backbone);
        }
        Ok(ValenceArousalSource::Derived)
    }

    fn give_out(&mut self, classifier: Option<&Classifier>) -> Option<usize> {
        classifier.map(|classifier| self.outputs.add(classifier.logits))
    }

    fn expect_embedding(&self, role: Role, file: &Weights) -> Result<(), LensError> {
        expect_embedding(role, &file.metadata, self.facts.name)
    }

    fn no_classifier(&self) -> LensError {
        LensError::NoClassifier {
            backbone: self.facts.name.to_owned(),
        }
    }
}

impl Outputs {
    /// The place of a map among the outputs; each map is given out once.
    fn add(&mut self, map: Map) -> usize {
        let place = self.maps.iter().position(|other| *other == map);
        place.unwrap_or_else(|| {
            self.maps.push(map);
            self.maps.len() - 1
        })
    }
}
