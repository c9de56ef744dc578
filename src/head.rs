//! Small classifiers over embeddings.
