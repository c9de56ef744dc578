//! What can be reported about a frame.

use super::name::{self, UnknownName};

/// One thing that can be reported about a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Facial expression.
    Expression,
    /// Valence and arousal.
    ValenceArousal,
    /// Action units.
    ActionUnits,
    /// Violence in the whole frame.
    Violence,
    /// People and the points of their bodies.
    Pose,
}

impl Task {
    /// Every task, in the order of the enum.
    pub const ALL: [Self; 5] = [
        Self::Expression,
        Self::ValenceArousal,
        Self::ActionUnits,
        Self::Violence,
        Self::Pose,
    ];

    /// The tasks that need the faces of a frame.
    pub const FACES: [Self; 3] = [Self::Expression, Self::ValenceArousal, Self::ActionUnits];

    /// The name in options and in JavaScript.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Expression => "expression",
            Self::ValenceArousal => "valence-arousal",
            Self::ActionUnits => "action-units",
            Self::Violence => "violence",
            Self::Pose => "pose",
        }
    }

    /// Reads a name.
    ///
    /// # Errors
    ///
    /// [`UnknownName`], which lists the names that there are.
    pub fn from_name(name: &str) -> Result<Self, UnknownName> {
        name::find("task", name, &Self::ALL, Self::name)
    }
}

/// The tasks that were asked for.
///
/// ```
/// use affectlens::task::{Task, Tasks};
///
/// let tasks = Tasks::new(&[Task::Expression, Task::Violence]);
/// assert!(tasks.contains(Task::Violence) && tasks.need_faces());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tasks([bool; Task::ALL.len()]);

impl Tasks {
    /// Only the expression.
    pub const EXPRESSION: Self = Self::new(&[Task::Expression]);

    /// The set of the tasks in a list.
    pub const fn new(tasks: &[Task]) -> Self {
        let mut set = [false; Task::ALL.len()];
        let mut index = 0;
        while index < tasks.len() {
            set[tasks[index] as usize] = true;
            index += 1;
        }
        Self(set)
    }

    /// Reads a list of names.
    ///
    /// # Errors
    ///
    /// [`UnknownName`] for the first one that names no task.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownName> {
        names.into_iter().map(Task::from_name).collect()
    }

    /// Whether a task was asked for.
    pub const fn contains(self, task: Task) -> bool {
        self.0[task as usize]
    }

    /// Whether any of the tasks was asked for.
    pub fn contains_any(self, tasks: &[Task]) -> bool {
        tasks.iter().any(|task| self.contains(*task))
    }

    /// Whether faces are looked for.
    pub fn need_faces(self) -> bool {
        self.contains_any(&Task::FACES)
    }
}

impl FromIterator<Task> for Tasks {
    fn from_iter<I: IntoIterator<Item = Task>>(tasks: I) -> Self {
        let mut set = Self::default();
        for task in tasks {
            set.0[task as usize] = true;
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_is_found_by_its_name() {
        for task in Task::ALL {
            assert_eq!(Task::from_name(task.name()), Ok(task));
            assert_eq!(Task::ALL[task as usize], task);
        }
        let error = Tasks::from_names(["violence", "gaze"]).expect_err("no such task");
        assert_eq!(
            error.to_string(),
            "task is `gaze`, expected one of expression, valence-arousal, action-units, violence, pose"
        );
    }

    #[test]
    fn a_set_holds_what_was_asked_for() {
        let tasks = Tasks::from_names(["violence"]).expect("a task");
        assert_eq!(tasks, Tasks::new(&[Task::Violence]));
        assert!(tasks.contains(Task::Violence) && !tasks.contains(Task::Expression));
        assert!(!tasks.need_faces() && Tasks::EXPRESSION.need_faces());
        assert!(
            Task::FACES
                .iter()
                .all(|task| Tasks::new(&[*task]).need_faces())
        );
    }
}
