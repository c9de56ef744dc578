//! Names that users write, looked up in their lists.

use thiserror::Error;

/// A name that is not in its list.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{what} is `{got}`, expected one of {expected}")]
pub struct UnknownName {
    /// What was named: `task`, `device`.
    pub what: &'static str,
    /// Name that came.
    pub got: String,
    /// Names that there are, separated by commas.
    pub expected: String,
}

/// Finds the member of a list that has a name.
///
/// # Errors
///
/// [`UnknownName`], which lists the names that there are.
pub(crate) fn find<T: Copy>(
    what: &'static str,
    got: &str,
    all: &[T],
    name: impl Fn(T) -> &'static str,
) -> Result<T, UnknownName> {
    let found = all.iter().copied().find(|member| name(*member) == got);
    found.ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|member| name(*member)).collect();
        UnknownName {
            what,
            got: got.to_owned(),
            expected: names.join(", "),
        }
    })
}
