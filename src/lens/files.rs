//! The files that a lens is made of.

use crate::{
    error::LensError,
    faces::{ClassifierWeights, FaceWeights},
    people::PeopleWeights,
    role::Role,
    task::{Task, Tasks},
    violence::ViolenceWeights,
    weights::Weights,
};

/// Files of the parts that are wanted.
#[derive(Clone, Debug)]
pub struct LensWeights {
    /// Files for expression, valence, arousal and action units.
    pub faces: Option<FaceWeights>,
    /// Files for violence.
    pub violence: Option<ViolenceWeights>,
    /// Files for people.
    pub people: Option<PeopleWeights>,
}

impl LensWeights {
    /// Reads the files that the tasks use: `find` gives the file of a role if it is there, `parse` reads it. What a part
    /// cannot do without is looked for before anything of it is read. What tells a violence head's second stream has no role:
    /// [`ViolenceWeights::second`] is `None`.
    ///
    /// # Errors
    ///
    /// [`LensError::MissingWeights`] for a file that a part cannot do without, or the error of `parse`.
    pub fn read<F, E: From<LensError>>(
        tasks: Tasks,
        find: impl Fn(Role) -> Option<F>,
        parse: impl Fn(Role, F) -> Result<Weights, E>,
    ) -> Result<Self, E> {
        let used = |role: Role| role.serves(tasks).then(|| find(role)).flatten();
        let required = |role| used(role).ok_or(LensError::MissingWeights { role });
        let optional = |role| used(role).map(|file| parse(role, file)).transpose();
        let read_faces = || -> Result<FaceWeights, E> {
            let detectors = [Role::Detector, Role::FullRangeDetector];
            let mut detectors = detectors
                .into_iter()
                .filter_map(|role| Some((role, used(role)?)));
            let role = Role::Detector;
            let (role, detector) = detectors.next().ok_or(LensError::MissingWeights { role })?;
            let backbone = required(Role::Backbone)?;
            Ok(FaceWeights {
                detector: parse(role, detector)?,
                full_range_detector: detectors
                    .next()
                    .map(|(role, file)| parse(role, file))
                    .transpose()?,
                classifier: ClassifierWeights {
                    backbone: parse(Role::Backbone, backbone)?,
                    pretrained: optional(Role::Pretrained)?,
                    head: optional(Role::Head)?,
                    valence_arousal_head: optional(Role::ValenceArousalHead)?,
                    action_units_head: optional(Role::ActionUnitsHead)?,
                },
                mesh: optional(Role::Mesh)?,
                blendshapes: optional(Role::Blendshapes)?,
            })
        };
        let read_violence = || -> Result<ViolenceWeights, E> {
            let [backbone, head] = [
                required(Role::ViolenceBackbone)?,
                required(Role::ViolenceHead)?,
            ];
            Ok(ViolenceWeights {
                backbone: parse(Role::ViolenceBackbone, backbone)?,
                head: parse(Role::ViolenceHead, head)?,
                second: None,
            })
        };
        let read_people = || -> Result<PeopleWeights, E> {
            let detector = required(Role::PoseDetector)?;
            let mut versions = Role::POSE_LANDMARKS
                .into_iter()
                .filter_map(|role| Some((role, used(role)?)));
            let role = Role::PoseLandmarks;
            let (role, landmarks) = versions.next().ok_or(LensError::MissingWeights { role })?;
            Ok(PeopleWeights {
                detector: parse(Role::PoseDetector, detector)?,
                landmarks: parse(role, landmarks)?,
            })
        };
        let wants_violence = tasks.contains(Task::Violence);
        let wants_people = tasks.contains(Task::Pose);
        Ok(Self {
            faces: tasks.need_faces().then(read_faces).transpose()?,
            violence: wants_violence.then(read_violence).transpose()?,
            people: wants_people.then(read_people).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads files of which each has its role as its bytes.
    fn read(tasks: &[Task], files: &[Role]) -> Result<LensWeights, LensError> {
        let find = |role| files.contains(&role).then_some(role);
        let parse = |role: Role, file| {
            assert_eq!(role, file);
            let mut weights = Weights::default();
            weights.metadata.architecture = role.file().to_owned();
            Ok(weights)
        };
        LensWeights::read(Tasks::new(tasks), find, parse)
    }

    #[test]
    fn a_part_reads_the_files_that_its_tasks_use() {
        let all = read(&Task::ALL, &Role::ALL).expect("all are there");
        let (faces, violence) = (all.faces.expect("used"), all.violence.expect("used"));
        let head = faces.classifier.valence_arousal_head.expect("used");
        assert_eq!(head.metadata.architecture, "valence-arousal-head");
        assert_eq!(violence.head.metadata.architecture, "violence-head");
        let people = all.people.expect("used");
        assert_eq!(people.landmarks.metadata.architecture, "pose-landmarks");

        let some = read(&[Task::Expression], &Role::ALL).expect("all are there");
        let faces = some.faces.expect("used");
        assert!(some.violence.is_none() && some.people.is_none() && faces.mesh.is_some());
        assert!(faces.blendshapes.is_none() && faces.classifier.action_units_head.is_none());
    }

    #[test]
    fn one_detector_is_enough() {
        let detectors = |files: &[Role]| {
            let files = [files, &[Role::Backbone]].concat();
            let faces = read(&[Task::Expression], &files).expect("enough").faces;
            let faces = faces.expect("used");
            let name = |weights: Weights| weights.metadata.architecture;
            (
                name(faces.detector),
                faces.full_range_detector.map(name).unwrap_or_default(),
            )
        };
        let [short, full] = [Role::Detector, Role::FullRangeDetector];
        let none = String::new;
        assert_eq!(detectors(&[short]), (short.file().to_owned(), none()));
        assert_eq!(detectors(&[full]), (full.file().to_owned(), none()));
        assert_eq!(
            detectors(&[short, full]),
            (short.file().to_owned(), full.file().to_owned())
        );
    }

    #[test]
    fn one_network_for_the_points_of_a_body_is_enough() {
        for role in Role::POSE_LANDMARKS {
            let people = read(&[Task::Pose], &[Role::PoseDetector, role]).expect("enough");
            let landmarks = people.people.expect("used").landmarks;
            assert_eq!(landmarks.metadata.architecture, role.file());
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let missing = |tasks, files| read(tasks, files).expect_err("missing").to_string();
        assert_eq!(
            missing(&[Task::Violence], &[Role::ViolenceBackbone]),
            "weights have no `violenceHead`"
        );
        assert_eq!(
            missing(&[Task::Expression], &[Role::Detector]),
            "weights have no `backbone`"
        );
        assert_eq!(
            missing(&[Task::Pose], &[Role::PoseDetector]),
            "weights have no `poseLandmarks`"
        );
    }
}
