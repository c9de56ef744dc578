//! Takes parameters out of a weights table and notices what is left.

use std::{borrow::Cow, collections::BTreeSet};

use crate::weights::{Weights, WeightsError, expect_units};

/// The parameters of one network. Of weights that are handed over, those that are taken are gone: a page's memory never
/// shrinks.
pub(crate) struct Parameters<'a> {
    weights: Cow<'a, Weights>,
    taken: BTreeSet<String>,
}

impl<'a> Parameters<'a> {
    /// Begins with nothing taken.
    pub(crate) fn new(weights: impl Into<Cow<'a, Weights>>) -> Self {
        Self {
            weights: weights.into(),
            taken: BTreeSet::new(),
        }
    }

    /// The values of the parameter of that name and shape.
    pub(crate) fn values(
        &mut self,
        name: &str,
        shape: &[usize],
    ) -> Result<Cow<'a, [f32]>, WeightsError> {
        Ok(match &mut self.weights {
            Cow::Owned(weights) => weights.take(name, shape)?.into(),
            Cow::Borrowed(weights) => {
                let values = weights.values(name, shape)?;
                self.taken.insert(name.to_owned());
                values.into()
            }
        })
    }

    /// First axis of a parameter that need not be there. The file decides it: none is refused, and more than a network can
    /// have.
    pub(crate) fn rows(&self, name: &str) -> Result<Option<usize>, WeightsError> {
        let Some(tensor) = self.weights.get(name) else {
            return Ok(None);
        };
        let rows = tensor.shape.first().copied().unwrap_or_default();
        expect_units(name, rows).map(Some)
    }

    /// Confirms that the table held nothing else.
    pub(crate) fn finish(self, architecture: &str) -> Result<(), WeightsError> {
        match self
            .weights
            .iter()
            .find(|(name, _)| !self.taken.contains(*name))
        {
            None => Ok(()),
            Some((name, _)) => Err(WeightsError::Unexpected {
                name: name.to_owned(),
                architecture: architecture.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_classifier_has_a_size_that_networks_have() {
        let rows = |count: usize| {
            let mut weights = Weights::default();
            let inserted = weights.insert("classifier.weight", vec![count, 1], vec![0.0; count]);
            inserted.expect("as many values");
            let rows = Parameters::new(&weights).rows("classifier.weight");
            rows.map_err(|error| error.to_string())
        };
        assert_eq!(rows(8), Ok(Some(8)));
        for count in [0, 65_537] {
            let expected = format!(
                "weights file is malformed: `classifier.weight` has {count} units along an axis, expected 1 to 32768"
            );
            assert_eq!(rows(count), Err(expected));
        }
        let nothing = Weights::default();
        let rows = Parameters::new(&nothing).rows("classifier.weight");
        assert_eq!(rows.expect("need not be there"), None);
    }
}
