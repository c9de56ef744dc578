//! Expression analysis of frames and streams.
