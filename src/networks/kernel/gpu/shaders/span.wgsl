// Invocations of a group that look at different channels of the same pixel: with few channels several divide a
// channel's pixels among them.
fn span_of(channels: u32) -> u32 { return select(channels, GROUP, channels > GROUP / 2u); }
