//! People in a frame as numbers for a head over time: where two of them are, how they move, how near they are.
//!
//! Those of the published violence systems (HSEmotion team at ABAW-10), 406 a frame: two people of 33 points with x, y and
//! z, the change of each since the frame before, and ten distances between the two. Nobody follows people from frame to
//! frame there: the two that can be seen best are first and second in every frame anew.

use crate::person::{KEYPOINTS, Person};

/// People of a frame that count.
pub const PEOPLE: usize = 2;

/// Numbers of a frame.
pub const WIDTH: usize = 4 * PERSON + PAIR;

/// Numbers of a person.
const PERSON: usize = 3 * KEYPOINTS.len();

/// Distances between two people.
const PAIR: usize = 10;

/// Points of the first and of the second person whose distances count: wrists with wrists, shoulders with shoulders, hips
/// with hips.
const JOINTS: [(usize, usize); 8] = [
    (15, 15),
    (15, 16),
    (16, 15),
    (16, 16),
    (11, 11),
    (12, 12),
    (23, 23),
    (24, 24),
];

const _: () = assert!(WIDTH == 406 && JOINTS.len() + 2 == PAIR);

/// Places of a person's points: x, y, z of each, as shares of the frame's width, height and width; all 0 for nobody.
type Places = [f32; PERSON];

/// The numbers of the frames of one stream, one frame after the other.
///
/// ```
/// use affectlens::skeleton::{Skeletons, WIDTH};
///
/// let mut skeletons = Skeletons::default();
/// assert_eq!(skeletons.push(&[], [640, 480]), [0.0; WIDTH]);
/// ```
#[derive(Clone, Debug)]
pub struct Skeletons {
    /// The two people of the frame before.
    before: [Places; PEOPLE],
}

impl Default for Skeletons {
    /// Before the first frame nobody is anywhere: its changes are the places themselves.
    fn default() -> Self {
        Self {
            before: [[0.0; PERSON]; PEOPLE],
        }
    }
}

impl Skeletons {
    /// The numbers of the next frame, of that width and height in pixels: places of the first and of the second person, their
    /// changes since the frame before, and the distances between them. Of more than two people those count that can be seen
    /// best on average.
    pub fn push(&mut self, people: &[Person], size: [u32; 2]) -> [f32; WIDTH] {
        let mut people: Vec<_> = people.iter().collect();
        people.sort_by(|a, b| b.visibility().total_cmp(&a.visibility()));
        let now = [0, 1].map(|place| match people.get(place) {
            Some(person) => places(person, size),
            None => [0.0; PERSON],
        });
        let changes = [0, 1].map(|place| difference(&now[place], &self.before[place]));
        let pair = pair(&now[0], &now[1]);
        self.before = now;
        let mut numbers = [0.0; WIDTH];
        let parts = now.iter().chain(&changes).flatten().chain(&pair);
        for (number, part) in numbers.iter_mut().zip(parts) {
            *number = *part;
        }
        numbers
    }
}

fn places(person: &Person, [width, height]: [u32; 2]) -> Places {
    #[expect(
        clippy::cast_precision_loss,
        reason = "pictures are narrower than 2^24 pixels"
    )]
    let [width, height] = [width, height].map(|length| length as f32);
    let size = [width, height, width];
    std::array::from_fn(|index| person.keypoints[index / 3].place[index % 3] / size[index % 3])
}

fn difference(now: &Places, before: &Places) -> Places {
    std::array::from_fn(|index| now[index] - before[index])
}

/// Distance of the middles (of nobody it is the corner), of the joints, and of the middles where both people are there.
fn pair(first: &Places, second: &Places) -> [f32; PAIR] {
    let [(one, has_first), (other, has_second)] = [first, second].map(|places| {
        let middle = middle(places);
        (middle.unwrap_or_default(), middle.is_some())
    });
    let middles = distance(one, other);
    let mut distances = [0.0; PAIR];
    distances[0] = middles;
    for (place, (i, j)) in JOINTS.into_iter().enumerate() {
        if let (Some(one), Some(other)) = (joint(first, i), joint(second, j)) {
            distances[1 + place] = distance(one, other);
        }
    }
    if has_first && has_second {
        distances[PAIR - 1] = middles;
    }
    distances
}

/// x and y of a point; none where all of its numbers are 0.
fn joint(places: &Places, index: usize) -> Option<[f32; 2]> {
    let [x, y, z] = [0, 1, 2].map(|axis| places[3 * index + axis]);
    (x != 0.0 || y != 0.0 || z != 0.0).then_some([x, y])
}

/// The mean of the points that are there; none if there are none.
fn middle(places: &Places) -> Option<[f32; 2]> {
    let joints: Vec<_> = (0..KEYPOINTS.len())
        .filter_map(|index| joint(places, index))
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "33 at most")]
    let count = joints.len() as f32;
    let sum = |axis: usize| joints.iter().map(|joint| joint[axis]).sum::<f32>();
    (!joints.is_empty()).then(|| [sum(0) / count, sum(1) / count])
}

fn distance([x, y]: [f32; 2], [other_x, other_y]: [f32; 2]) -> f32 {
    (x - other_x).hypot(y - other_y)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person::Keypoint;

    const SIZE: [u32; 2] = [200, 100];

    /// A person all of whose points are in one place, pixels.
    fn person(place: [f32; 3], visibility: f32) -> Person {
        let point = Keypoint {
            place,
            visibility,
            presence: 1.0,
        };
        Person {
            keypoints: [point; KEYPOINTS.len()],
            score: 1.0,
        }
    }

    fn part(numbers: &[f32; WIDTH], index: usize) -> &[f32] {
        &numbers[PERSON * index..][..PERSON]
    }

    fn distances(numbers: &[f32; WIDTH]) -> &[f32] {
        &numbers[4 * PERSON..]
    }

    fn near(got: &[f32], expected: &[f32]) -> bool {
        let apart = got.iter().zip(expected).map(|(a, b)| (a - b).abs());
        got.len() == expected.len() && apart.fold(0.0, f32::max) < 1e-6
    }

    #[test]
    fn nobody_is_zero() {
        let mut skeletons = Skeletons::default();
        assert_eq!(skeletons.push(&[], SIZE), [0.0; WIDTH]);
        assert_eq!(skeletons.push(&[], SIZE), [0.0; WIDTH]);
    }

    #[test]
    fn one_person_moves_from_nowhere_and_is_far_from_nobody() {
        let mut skeletons = Skeletons::default();
        // x 60 of 200, y 40 of 100, z -20 of 200; the middle is half a unit from the corner.
        let first = skeletons.push(&[person([60.0, 40.0, -20.0], 0.9)], SIZE);
        let place = [0.3, 0.4, -0.1].repeat(33);
        assert!(near(part(&first, 0), &place) && near(part(&first, 2), &place));
        assert!(
            part(&first, 1)
                .iter()
                .chain(part(&first, 3))
                .all(|it| *it == 0.0)
        );
        let mut expected = [0.0; PAIR];
        expected[0] = 0.5;
        assert!(
            near(distances(&first), &expected),
            "{:?}",
            distances(&first)
        );
        let second = skeletons.push(&[person([80.0, 40.0, 0.0], 0.9)], SIZE);
        assert!(near(part(&second, 2), &[0.1, 0.0, 0.1].repeat(33)));
    }

    #[test]
    fn two_people_stand_in_the_order_of_their_visibility() {
        let mut near_person = person([20.0, 10.0, 0.0], 0.4);
        near_person.keypoints[16].place = [100.0, 50.0, 1.0];
        let far_person = person([80.0, 50.0, 0.0], 0.6);
        let numbers = Skeletons::default().push(&[near_person, far_person], SIZE);
        assert!(near(part(&numbers, 0), &[0.4, 0.5, 0.0].repeat(33)));
        assert!(near(&part(&numbers, 1)[..3], &[0.1, 0.1, 0.0]));
        // Middle of the second: 32 points at (0.1, 0.1) and the wrist at (0.5, 0.5).
        let middle = 0.1 + 0.4 / 33.0;
        let middles = (0.4_f32 - middle).hypot(0.5 - middle);
        let wrist = 0.1;
        let expected = [middles, 0.5, wrist, 0.5, wrist, 0.5, 0.5, 0.5, 0.5, middles];
        assert!(
            near(distances(&numbers), &expected),
            "{:?}",
            distances(&numbers)
        );
    }

    #[test]
    fn a_point_in_the_corner_is_not_there() {
        let mut first = person([100.0, 0.0, 0.0], 0.9);
        first.keypoints[15].place = [0.0; 3];
        first.keypoints[11].place = [0.0, 0.0, 1.0];
        let second = person([100.0, 30.0, 0.0], 0.1);
        let numbers = Skeletons::default().push(&[first, second], SIZE);
        let distances = distances(&numbers);
        // The left wrist has no distances; the left shoulder lies in the corner but has a depth.
        assert_eq!(distances[1..3], [0.0, 0.0]);
        assert!(near(&distances[3..6], &[0.3, 0.3, 0.5_f32.hypot(0.3)]));
        // 31 points at (0.5, 0) and the shoulder at (0, 0).
        let middle = 0.5 * 31.0 / 32.0;
        let expected = (0.5_f32 - middle).hypot(0.3);
        assert!(near(&[distances[0], distances[9]], &[expected; 2]));
    }

    #[test]
    fn a_person_who_leaves_moves_back_to_nowhere() {
        let mut skeletons = Skeletons::default();
        let stays = person([100.0, 50.0, 0.0], 0.9);
        let leaves = person([40.0, 20.0, 10.0], 0.5);
        skeletons.push(&[stays.clone(), leaves], SIZE);
        let alone = skeletons.push(std::slice::from_ref(&stays), SIZE);
        assert!(near(part(&alone, 1), &[0.0; PERSON]));
        assert!(near(part(&alone, 2), &[0.0; PERSON]));
        assert!(near(part(&alone, 3), &[-0.2, -0.2, -0.05].repeat(33)));
        let distances = distances(&alone);
        assert!(near(&distances[..1], &[0.5_f32.hypot(0.5)]));
        assert_eq!(distances[1..], [0.0; PAIR - 1]);
    }

    #[test]
    fn of_three_people_the_least_visible_is_left_aside() {
        let people = [0.2, 0.9, 0.5].map(|it| person([200.0 * it, 1.0, 0.0], it));
        let numbers = Skeletons::default().push(&people, SIZE);
        assert!(near(&part(&numbers, 0)[..1], &[0.9]) && near(&part(&numbers, 1)[..1], &[0.5]));
    }

    /// Somebody whose points lie somewhere in and around a frame.
    fn somebody(seed: u32) -> Person {
        let mut person = person([0.0; 3], 0.0);
        for (index, point) in (0_u32..).zip(&mut person.keypoints) {
            let value = |part: u32| {
                let mixed = (seed * 33 + index) * 3 + part;
                (mixed.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 24) as f32
            };
            point.place = [
                300.0 * value(0) - 50.0,
                200.0 * value(1) - 50.0,
                value(2) - 0.5,
            ];
            point.visibility = value(1);
        }
        person
    }

    #[test]
    fn of_twenty_people_the_two_who_are_seen_best_count_in_any_order() {
        let mut people: Vec<_> = (0..20).map(somebody).collect();
        let numbers = Skeletons::default().push(&people, SIZE);
        people.reverse();
        assert_eq!(Skeletons::default().push(&people, SIZE), numbers);
        people.sort_by(|a, b| b.visibility().total_cmp(&a.visibility()));
        assert_eq!(Skeletons::default().push(&people[..2], SIZE), numbers);
    }

    #[test]
    fn people_beyond_the_border_and_upside_down_keep_their_distances() {
        let pair = [somebody(3), somebody(4)];
        let numbers = Skeletons::default().push(&pair, SIZE);
        let outside = part(&numbers, 0)
            .iter()
            .filter(|it| !(0.0..=1.0).contains(*it));
        assert!(outside.count() > 0, "points beyond the border stay there");
        let turned = pair.clone().map(|mut person| {
            for point in &mut person.keypoints {
                point.place[0] = 200.0 - point.place[0];
                point.place[1] = 100.0 - point.place[1];
            }
            person
        });
        let turned = Skeletons::default().push(&turned, SIZE);
        assert!(near(distances(&turned), distances(&numbers)));
        let moved = part(&numbers, 0).iter().zip(part(&turned, 0));
        for (place, (before, after)) in moved.enumerate() {
            let expected = if place % 3 == 2 {
                *before
            } else {
                1.0 - before
            };
            assert!((after - expected).abs() < 1e-6);
        }
    }
}
