//! The weights files that a lens is made of: what each is called, where the default comes from, which tasks use it.

use std::fmt;

use super::task::{Task, Tasks};

/// A weights file by what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Face detector.
    Detector,
    /// Face detector for smaller faces.
    FullRangeDetector,
    /// Backbone that embeds faces.
    Backbone,
    /// Classifier that stands for the pretrained model.
    Pretrained,
    /// Classifier that was adapted to the data at hand.
    Head,
    /// Head for valence and arousal.
    ValenceArousalHead,
    /// Head for action units.
    ActionUnitsHead,
    /// Face mesh; without it faces are not confirmed.
    Mesh,
    /// Blendshapes of the mesh.
    Blendshapes,
    /// Backbone that embeds whole frames.
    ViolenceBackbone,
    /// Temporal head for violence.
    ViolenceHead,
    /// Network that hears whether somebody speaks.
    Voice,
    /// Network that embeds sound.
    AudioEncoder,
    /// Classifier of expressions over the embeddings of sound.
    AudioExpressionHead,
    /// Detector of people.
    PoseDetector,
    /// Points of a body.
    PoseLandmarks,
    /// The same, more exact.
    PoseLandmarksFull,
    /// The same, most exact and slowest.
    PoseLandmarksHeavy,
}

/// Where the default file of a role comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was trained for this project and is kept in `models/`.
    BuiltIn,
    /// It is fetched from its publisher's package and converted.
    Fetched,
    /// There is none: only a user can bring one.
    Own,
}

/// What is known about a role.
#[derive(Clone, Copy, Debug)]
struct Facts {
    role: Role,
    name: &'static str,
    title: &'static str,
    file: &'static str,
    origin: Origin,
    tasks: &'static [Task],
}

const fn row(
    role: Role,
    name: &'static str,
    title: &'static str,
    file: &'static str,
    origin: Origin,
    tasks: &'static [Task],
) -> Facts {
    Facts {
        role,
        name,
        title,
        file,
        origin,
        tasks,
    }
}

use Origin::{BuiltIn, Fetched, Own};

/// All roles, in the order of the enum: name, title in messages, default file, origin, tasks that use it.
#[rustfmt::skip]
const TABLE: [Facts; 18] = [
    row(Role::Detector, "detector", "face detector", "blazeface-short-range", Fetched, &Task::FACES),
    row(Role::FullRangeDetector, "fullRangeDetector", "full-range face detector", "blazeface-full-range", Fetched, &Task::FACES),
    row(Role::Backbone, "backbone", "backbone", "expression-mobilenet", BuiltIn, &Task::FACES),
    row(Role::Pretrained, "pretrained", "pretrained classifier", "expression-pretrained", BuiltIn, &Task::FACES),
    row(Role::Head, "head", "head", "expression-head", BuiltIn, &Task::FACES),
    row(Role::ValenceArousalHead, "valenceArousalHead", "valence/arousal head", "valence-arousal-head", Own, &[Task::ValenceArousal]),
    row(Role::ActionUnitsHead, "actionUnitsHead", "action-unit head", "action-units-head", Own, &[Task::ActionUnits]),
    row(Role::Mesh, "mesh", "face mesh", "face-mesh", Fetched, &Task::FACES),
    row(Role::Blendshapes, "blendshapes", "blendshapes", "face-blendshapes", Fetched, &[Task::ActionUnits]),
    row(Role::ViolenceBackbone, "violenceBackbone", "violence backbone", "efficientnet-lite0", Fetched, &[Task::Violence]),
    row(Role::ViolenceHead, "violenceHead", "violence head", "violence-head", BuiltIn, &[Task::Violence]),
    row(Role::Voice, "voice", "voice detector", "silero-vad", Fetched, &[]),
    row(Role::AudioEncoder, "audioEncoder", "audio encoder", "wav2vec2-base", Own, &[]),
    row(Role::AudioExpressionHead, "audioExpressionHead", "audio expression head", "expression-audio-head", Own, &[]),
    row(Role::PoseDetector, "poseDetector", "detector of people", "pose-detector", Fetched, &[Task::Pose]),
    row(Role::PoseLandmarks, "poseLandmarks", "pose landmarks", "pose-landmarks", Fetched, &[Task::Pose]),
    row(Role::PoseLandmarksFull, "poseLandmarksFull", "full pose landmarks", "pose-landmarks-full", Fetched, &[Task::Pose]),
    row(Role::PoseLandmarksHeavy, "poseLandmarksHeavy", "heavy pose landmarks", "pose-landmarks-heavy", Fetched, &[Task::Pose]),
];

impl Role {
    /// Every role, in the order of the enum.
    pub const ALL: [Self; TABLE.len()] = {
        let mut all = [Self::Detector; TABLE.len()];
        let mut index = 0;
        while index < TABLE.len() {
            all[index] = TABLE[index].role;
            index += 1;
        }
        all
    };

    const fn facts(self) -> &'static Facts {
        &TABLE[self as usize]
    }

    /// The name in JavaScript and in the manifest of the weights package.
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// The default file, without `.safetensors`.
    pub const fn file(self) -> &'static str {
        self.facts().file
    }

    /// Where the default file comes from.
    pub const fn origin(self) -> Origin {
        self.facts().origin
    }

    /// Files for sound, which are read where it is listened to, whatever the tasks.
    pub const SOUND: [Self; 3] = [Self::Voice, Self::AudioEncoder, Self::AudioExpressionHead];

    /// The tasks that use the file; without one of them it is not read. None for the files of [`Self::SOUND`].
    pub const fn tasks(self) -> &'static [Task] {
        self.facts().tasks
    }

    /// Files for the points of a body; a lens uses one of them.
    pub const POSE_LANDMARKS: [Self; 3] = [
        Self::PoseLandmarks,
        Self::PoseLandmarksFull,
        Self::PoseLandmarksHeavy,
    ];

    /// Whether the npm package of default weights has the file. The larger networks for the points of a body would make it
    /// more than twice as large.
    pub const fn is_packed(self) -> bool {
        let is_large = matches!(self, Self::PoseLandmarksFull | Self::PoseLandmarksHeavy);
        !matches!(self.origin(), Own) && !is_large
    }

    /// Whether one of the tasks uses the file.
    pub fn serves(self, tasks: Tasks) -> bool {
        tasks.contains_any(self.tasks())
    }
}

/// What messages call the file.
impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.facts().title)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum_and_names_no_file_twice() {
        for (index, facts) in TABLE.iter().enumerate() {
            assert_eq!(facts.role as usize, index);
            let same = |other: &&Facts| other.name == facts.name || other.file == facts.file;
            assert_eq!(TABLE.iter().filter(same).count(), 1, "{facts:?}");
            let is_of_sound = Role::SOUND.contains(&facts.role);
            assert_eq!(facts.tasks.is_empty(), is_of_sound, "{facts:?}");
        }
    }

    #[test]
    fn tasks_read_only_the_files_that_they_use() {
        let read = |tasks: &[Task]| {
            let tasks = Tasks::new(tasks);
            Role::ALL.into_iter().filter(move |role| role.serves(tasks))
        };
        assert!(read(&[Task::Violence]).eq([Role::ViolenceBackbone, Role::ViolenceHead]));
        assert_eq!(read(&[Task::Expression]).count(), 6);
        let all = Role::ALL.len() - Role::SOUND.len();
        assert_eq!(read(&Task::ALL).count(), all);
    }
}
