//! What is said about a frame.
