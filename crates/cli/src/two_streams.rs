//! What a head with two streams reads beside the frames, and the backbone that it names for it.

use affectlens::{
    head::{FusionKind, SecondStream, TemporalKind},
    weights::Weights,
};

/// Key, in the metadata of a head, of the backbone for pictures of the optical flow.
const FLOW_EMBEDDING: &str = "flow_embedding";
/// The published backbone for pictures of the optical flow.
pub(crate) const FLOW_BACKBONE: &str = "efficientnet-b0";

/// The second stream that a head reads.
pub(crate) fn stream_of(head: TemporalKind) -> Option<SecondStream> {
    head.fusion().map(FusionKind::stream)
}

/// Names the backbone for pictures of the optical flow in a head that reads them.
pub(crate) fn stamp_flow(kind: TemporalKind, backbone: &str, head: &mut Weights) {
    if stream_of(kind) == Some(SecondStream::Flow) {
        let extra = &mut head.metadata.extra;
        extra.insert(FLOW_EMBEDDING.to_owned(), backbone.to_owned());
    }
}

/// The backbone for pictures of the optical flow that a head was trained with.
pub(crate) fn flow_backbone(head: &Weights) -> &str {
    let named = head.metadata.extra.get(FLOW_EMBEDDING);
    named.map_or(FLOW_BACKBONE, String::as_str)
}
