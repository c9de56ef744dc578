// The frame of the input that a tap of an output frame sees, counted over all clips; negative in the padding.
fn frame_of(place: Place, tap: u32) -> i32 {
    let frame = i32(place.picture % FRAMES * FRAME_STRIDE + tap) - i32(FRONT);
    return select(-1, i32(place.picture / FRAMES * IN_FRAMES) + frame, is_inside(frame, IN_FRAMES));
}
