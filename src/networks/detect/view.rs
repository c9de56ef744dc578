//! What the network sees of a frame: all of it or a tile, upright or turned, and the way back.

use super::letterbox::{Letterbox, letterbox, pixels};
use crate::crop::crop;
use crate::face::{BoundingBox, Detection};
use crate::frame::Frame;

/// A square picture and the way back to the frame that it shows a part of.
#[derive(Debug)]
pub(super) struct View {
    square: Letterbox,
    /// Upper left corner of the part, frame pixels.
    origin: [f32; 2],
    /// Quarters of a turn, clockwise, that the square was turned by.
    quarters: usize,
}

/// A square part of a frame, pixels; smaller where the frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tile {
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) side: u32,
}

impl View {
    /// All of a frame.
    pub(super) fn whole(frame: &Frame, side: u32) -> Self {
        Self {
            square: letterbox(frame, side),
            origin: [0.0; 2],
            quarters: 0,
        }
    }

    /// A tile of a frame.
    pub(super) fn tile(frame: &Frame, tile: Tile, side: u32) -> Self {
        let Tile { left, top, .. } = tile;
        let [x, y, extent] = [left, top, tile.side].map(pixels);
        let region = BoundingBox {
            x,
            y,
            width: extent,
            height: extent,
        };
        let part = crop(frame, &region).expect("tiles lie in their frame");
        Self {
            origin: [x, y],
            ..Self::whole(&part, side)
        }
    }

    /// All of a frame as it is, and turned by one, two and three quarters.
    pub(super) fn turned(frame: &Frame, side: u32) -> [Self; 4] {
        let upright = letterbox(frame, side);
        [0, 1, 2, 3].map(|quarters| Self {
            square: Letterbox {
                picture: turn(&upright.picture, quarters),
                fit: upright.fit,
            },
            origin: [0.0; 2],
            quarters,
        })
    }

    /// What the network sees.
    pub(super) fn picture(&self) -> &Frame {
        &self.square.picture
    }

    /// A face of the square in frame pixels.
    pub(super) fn in_frame(&self, face: Detection) -> Detection {
        let side = pixels(self.square.picture.width());
        let mut face = self
            .square
            .fit
            .in_frame(turn_back(face, self.quarters, side));
        let [x, y] = self.origin;
        face.bounding_box.x += x;
        face.bounding_box.y += y;
        for point in &mut face.keypoints {
            *point = [point[0] + x, point[1] + y];
        }
        face
    }
}

impl Tile {
    /// The part of a frame around a box, `times` as large and within the frame.
    pub(super) fn around(face: &BoundingBox, times: f32, frame: &Frame) -> Self {
        let longest = pixels(frame.width().max(frame.height()));
        let side = (times * face.width.max(face.height))
            .round()
            .clamp(1.0, longest);
        let start = |first: f32, extent: f32, length: u32| {
            let last = (pixels(length) - side).max(0.0);
            whole((first + (extent - side) / 2.0).clamp(0.0, last))
        };
        Self {
            left: start(face.x, face.width, frame.width()),
            top: start(face.y, face.height, frame.height()),
            side: whole(side),
        }
    }

    /// Whether a box reaches over an edge of the tile behind which the frame goes on: another tile shows more of it.
    pub(super) fn cuts(&self, face: &BoundingBox, frame: &Frame) -> bool {
        let cuts = |start: u32, length: u32, first: f32, extent: f32| {
            let end = start.saturating_add(self.side);
            (start > 0 && first < pixels(start)) || (end < length && first + extent > pixels(end))
        };
        cuts(self.left, frame.width(), face.x, face.width)
            || cuts(self.top, frame.height(), face.y, face.height)
    }
}

/// Tiles of that side that cover a frame; neighbours share at least a quarter of their side.
pub(super) fn tiles(frame: &Frame, side: u32) -> Vec<Tile> {
    let starts = |length: u32| -> Vec<u32> {
        let (shared, span) = (side / 4, length.saturating_sub(side));
        let steps = span.div_ceil((side - shared).max(1));
        let start = |index: u32| {
            let place = u64::from(span) * u64::from(index) / u64::from(steps.max(1));
            u32::try_from(place).unwrap_or(span)
        };
        (0..=steps).map(start).collect()
    };
    let columns = starts(frame.width());
    let rows = starts(frame.height());
    let row = |top| columns.iter().map(move |&left| Tile { left, top, side });
    rows.into_iter().flat_map(row).collect()
}

/// A square picture, turned clockwise.
fn turn(square: &Frame, quarters: usize) -> Frame {
    let side = square.width();
    let last = side - 1;
    let mut pixels = Vec::with_capacity(square.pixels().len());
    for y in 0..side {
        for x in 0..side {
            let (mut column, mut row) = (x, y);
            for _ in 0..quarters {
                (column, row) = (row, last - column);
            }
            let start = (row * side + column) as usize * 3;
            pixels.extend_from_slice(&square.pixels()[start..start + 3]);
        }
    }
    Frame::from_rgb(side, side, pixels).expect("as many pixels as before")
}

/// A face of a turned square where it was before the turn.
fn turn_back(mut face: Detection, quarters: usize, side: f32) -> Detection {
    for _ in 0..quarters {
        let BoundingBox {
            x,
            y,
            width,
            height,
        } = face.bounding_box;
        face.bounding_box = BoundingBox {
            x: y,
            y: side - x - width,
            width: height,
            height: width,
        };
        face.keypoints = face.keypoints.map(|[x, y]| [y, side - x]);
    }
    face
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` truncates and saturates"
)]
fn whole(length: f32) -> u32 {
    length as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(width: u32, height: u32) -> Frame {
        let pixels = (0..width * height * 3).map(|index| u8::try_from(index % 251).expect("small"));
        Frame::from_rgb(width, height, pixels.collect()).expect("a full picture")
    }

    #[test]
    fn tiles_cover_the_frame_and_share_a_quarter() {
        for (width, height, side) in [
            (1920, 1080, 240),
            (1920, 1080, 960),
            (300, 900, 200),
            (5, 9, 4),
        ] {
            let tiles = tiles(&frame(width, height), side);
            for (length, starts) in [
                (
                    width,
                    tiles.iter().map(|tile| tile.left).collect::<Vec<_>>(),
                ),
                (height, tiles.iter().map(|tile| tile.top).collect()),
            ] {
                let mut starts = starts;
                starts.sort_unstable();
                starts.dedup();
                assert_eq!(starts[0], 0);
                assert_eq!(starts[starts.len() - 1], length - side);
                for pair in starts.windows(2) {
                    assert!(pair[0] + side - pair[1] >= side / 4, "{starts:?}");
                }
            }
        }
        assert_eq!(tiles(&frame(1920, 1080), 240).len(), 66);
        assert_eq!(
            tiles(&frame(300, 100), 200),
            [0, 100].map(|left| Tile {
                left,
                top: 0,
                side: 200
            })
        );
    }

    #[test]
    fn boxes_that_a_tile_cuts_are_known_but_not_those_that_leave_the_frame() {
        let frame = frame(300, 100);
        let boxed = |x, y| BoundingBox {
            x,
            y,
            width: 50.0,
            height: 50.0,
        };
        let [first, second] = [0, 100].map(|left| Tile {
            left,
            top: 0,
            side: 200,
        });
        assert!(!first.cuts(&boxed(-10.0, -10.0), &frame));
        assert!(!first.cuts(&boxed(150.0, 70.0), &frame));
        assert!(first.cuts(&boxed(151.0, 20.0), &frame));
        assert!(second.cuts(&boxed(99.0, 20.0), &frame));
        assert!(!second.cuts(&boxed(260.0, 20.0), &frame));
    }

    #[test]
    fn surroundings_stay_in_the_frame() {
        let frame = frame(300, 100);
        let around = |x: f32, y: f32, side: f32| {
            let face = BoundingBox {
                x,
                y,
                width: side,
                height: side / 2.0,
            };
            let Tile { left, top, side } = Tile::around(&face, 3.0, &frame);
            [left, top, side]
        };
        assert_eq!(around(100.0, 40.0, 20.0), [80, 15, 60]);
        assert_eq!(around(-5.0, 95.0, 20.0), [0, 40, 60]);
        assert_eq!(around(250.0, 0.0, 200.0), [0, 0, 300]);
        assert_eq!(around(f32::NAN, 0.0, 0.0)[2], 1);
    }

    #[test]
    fn faces_of_turned_views_come_back_to_their_place() {
        let upright = frame(96, 64);
        let view = View::whole(&upright, 192);
        let face = Detection {
            bounding_box: BoundingBox {
                x: 20.0,
                y: 50.0,
                width: 30.0,
                height: 40.0,
            },
            score: 0.9,
            keypoints: [
                [25.0, 60.0],
                [45.0, 62.0],
                [35.0, 70.0],
                [35.0, 80.0],
                [20.0, 65.0],
                [50.0, 66.0],
            ],
        };
        let expected = view.in_frame(face.clone());
        let mut turned = face;
        let [as_it_is, views @ ..] = View::turned(&upright, 192);
        assert_eq!(as_it_is.in_frame(turned.clone()), expected);
        for view in views {
            // One quarter more: what is at (x, y) goes to (192 - y, x).
            let BoundingBox {
                x,
                y,
                width,
                height,
            } = turned.bounding_box;
            turned.bounding_box = BoundingBox {
                x: 192.0 - y - height,
                y: x,
                width: height,
                height: width,
            };
            turned.keypoints = turned.keypoints.map(|[x, y]| [192.0 - y, x]);
            assert_eq!(view.in_frame(turned.clone()), expected);
        }
    }

    #[test]
    fn turned_pictures_show_pixels_where_faces_are_looked_for() {
        let square = frame(3, 3);
        let at =
            |picture: &Frame, x: usize, y: usize| picture.pixels()[(y * 3 + x) * 3..][..3].to_vec();
        for quarters in 0..4 {
            let turned = turn(&square, quarters);
            for (x, y) in [(0, 0), (2, 0), (1, 2)] {
                let (mut column, mut row) = (x, y);
                for _ in 0..quarters {
                    (column, row) = (2 - row, column);
                }
                assert_eq!(
                    at(&turned, column, row),
                    at(&square, x, y),
                    "{quarters} quarters"
                );
            }
        }
    }

    #[test]
    fn a_turned_view_of_a_turned_frame_is_the_upright_view() {
        let upright = frame(96, 64);
        // Clockwise by a quarter.
        let rows = (0..96).flat_map(|x| (0..64).rev().map(move |y| (y * 96 + x) * 3));
        let pixels = rows.flat_map(|at| upright.pixels()[at..at + 3].to_vec());
        let lying = Frame::from_rgb(64, 96, pixels.collect()).expect("as many pixels");
        let [.., back] = View::turned(&lying, 192);
        let whole = View::whole(&upright, 192);
        let pairs = back.picture().pixels().iter().zip(whole.picture().pixels());
        // Rows and columns are resized one after the other, and rounded in between.
        let apart = pairs.map(|(a, b)| a.abs_diff(*b)).max();
        assert!(apart <= Some(1), "{apart:?} levels apart");
    }

    #[test]
    fn a_tile_is_where_it_was_cut() {
        let frame = frame(60, 40);
        let tile = Tile {
            left: 20,
            top: 5,
            side: 30,
        };
        let view = View::tile(&frame, tile, 30);
        assert_eq!(
            view.picture().pixels()[..3],
            frame.pixels()[(5 * 60 + 20) * 3..][..3]
        );
        let face = Detection {
            bounding_box: BoundingBox {
                x: 1.0,
                y: 2.0,
                width: 3.0,
                height: 4.0,
            },
            score: 0.5,
            keypoints: [[1.0, 2.0]; 6],
        };
        let found = view.in_frame(face);
        assert_eq!((found.bounding_box.x, found.bounding_box.y), (21.0, 7.0));
        assert_eq!(found.keypoints[3], [21.0, 7.0]);
    }
}
