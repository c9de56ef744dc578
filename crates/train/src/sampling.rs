//! Which examples go into which batch.

use rand::{Rng, RngExt, rngs::StdRng, seq::IndexedRandom, seq::SliceRandom, seq::index};

/// How an epoch draws its batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sampling {
    /// Every example once, in random order.
    #[default]
    Shuffled,
    /// As many examples as there are, with replacement, each class as often as any other.
    Weighted,
    /// As many batches as cover all examples, each with as many examples of every class: distinct ones, or with
    /// replacement where a class has too few.
    Balanced {
        /// Examples of each class in a batch.
        per_class: usize,
    },
}

/// Every example once in random order; the order of one epoch is where the next one starts from.
pub(super) struct Shuffled(Vec<usize>);

impl Shuffled {
    pub(super) fn new(examples: usize) -> Self {
        Self((0..examples).collect())
    }

    pub(super) fn batches(&mut self, batch: usize, random: &mut StdRng) -> Vec<Vec<usize>> {
        self.0.shuffle(random);
        chunks(&self.0, batch)
    }
}

/// Draws the batches of labelled examples.
pub(super) struct ClassSampler {
    sampling: Sampling,
    batch: usize,
    order: Shuffled,
    /// Examples of each class that has some.
    pools: Vec<Vec<usize>>,
    count: usize,
}

impl ClassSampler {
    pub(super) fn new(sampling: Sampling, batch: usize, labels: &[usize], classes: usize) -> Self {
        let mut pools = vec![vec![]; classes];
        for (example, &label) in labels.iter().enumerate() {
            pools[label].push(example);
        }
        pools.retain(|pool: &Vec<usize>| !pool.is_empty());
        Self {
            sampling,
            batch,
            order: Shuffled::new(labels.len()),
            pools,
            count: labels.len(),
        }
    }

    pub(super) fn batches(&mut self, random: &mut StdRng) -> Vec<Vec<usize>> {
        let Self { pools, count, .. } = self;
        match self.sampling {
            Sampling::Shuffled => self.order.batches(self.batch, random),
            Sampling::Weighted => {
                let mut draw = || Some(*pools[random.random_range(0..pools.len())].choose(random)?);
                let examples: Vec<usize> = (0..*count).filter_map(|_| draw()).collect();
                chunks(&examples, self.batch)
            }
            Sampling::Balanced { per_class } => {
                let batches = count.div_ceil(pools.len() * per_class);
                let mut draw = || {
                    let mut batch: Vec<usize> = pools
                        .iter()
                        .flat_map(|pool| sample(pool, per_class, random))
                        .collect();
                    batch.shuffle(random);
                    batch
                };
                (0..batches).map(|_| draw()).collect()
            }
        }
    }
}

fn sample(pool: &[usize], count: usize, random: &mut impl Rng) -> Vec<usize> {
    if count <= pool.len() {
        let places = index::sample(random, pool.len(), count);
        places.into_iter().map(|place| pool[place]).collect()
    } else {
        (0..count)
            .map(|_| pool[random.random_range(0..pool.len())])
            .collect()
    }
}

fn chunks(examples: &[usize], batch: usize) -> Vec<Vec<usize>> {
    examples.chunks(batch).map(<[usize]>::to_vec).collect()
}

/// A number of the beta distribution with both parameters `alpha`, from .01 to 1 (Jöhnk 1964): the share of the first
/// picture in mixup (Zhang et al. 2018).
#[expect(
    clippy::cast_possible_truncation,
    reason = "drawn in f64 and used in f32"
)]
pub(super) fn mixing_share(alpha: f64, random: &mut impl Rng) -> f32 {
    loop {
        let [x, y] = [0, 1].map(|_| random.random::<f64>().powf(1.0 / alpha));
        if x + y > 0.0 && x + y <= 1.0 {
            return (x / (x + y)) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    /// 40 examples of class 0, 3 of class 1, none of class 2.
    fn sampler(sampling: Sampling) -> (ClassSampler, impl Fn(&[usize]) -> usize) {
        let labels = [vec![0; 40], vec![1; 3]].concat();
        let sampler = ClassSampler::new(sampling, 8, &labels, 3);
        (sampler, move |batch: &[usize]| {
            batch
                .iter()
                .filter(|&&example| labels[example] == 1)
                .count()
        })
    }

    #[test]
    fn balanced_batches_cover_the_data_with_distinct_examples_where_there_are_enough() {
        let mut random = StdRng::seed_from_u64(0);
        let (mut sampler, rare) = sampler(Sampling::Balanced { per_class: 5 });
        let batches = sampler.batches(&mut random);
        assert_eq!(batches.len(), 5, "43 examples over 10, rounded up");
        for batch in &batches {
            assert_eq!((batch.len(), rare(batch)), (10, 5));
            let mut common: Vec<_> = batch.iter().filter(|&&example| example < 40).collect();
            common.sort();
            common.dedup();
            assert_eq!(common.len(), 5, "{batch:?}");
        }
        assert!(
            batches
                .iter()
                .any(|batch| batch[..5].iter().any(|&it| it >= 40)),
            "batches are shuffled"
        );
    }

    #[test]
    fn weighted_batches_show_each_class_as_often() {
        let mut random = StdRng::seed_from_u64(0);
        let (mut sampler, rare) = sampler(Sampling::Weighted);
        let batches: Vec<usize> = (0..50)
            .flat_map(|_| sampler.batches(&mut random).concat())
            .collect();
        let share = rare(&batches) as f64 / batches.len() as f64;
        assert_eq!(batches.len(), 50 * 43);
        assert!((share - 0.5).abs() < 0.05, "{share}");
    }

    #[test]
    fn mixing_shares_have_the_moments_of_the_beta_distribution() {
        let mut random = StdRng::seed_from_u64(0);
        for alpha in [0.2, 1.0] {
            let shares: Vec<f64> = (0..20_000)
                .map(|_| f64::from(mixing_share(alpha, &mut random)))
                .collect();
            let mean = shares.iter().sum::<f64>() / 2e4;
            let variance = shares.iter().map(|x| (x - 0.5).powi(2)).sum::<f64>() / 2e4;
            let expected = 0.25 / (2.0 * alpha + 1.0);
            assert!((mean - 0.5).abs() < 0.01, "{mean}");
            assert!(
                (variance - expected).abs() < 0.005,
                "{variance}, expected {expected}"
            );
        }
    }
}
