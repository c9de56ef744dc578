//! Training of heads.
