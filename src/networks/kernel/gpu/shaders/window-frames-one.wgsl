// Pictures, not clips.
fn frame_of(place: Place, tap: u32) -> i32 { return i32(place.picture); }
