//! Places of feature maps in one arena: maps that are not alive at the same time share memory.

/// When a map is alive, and how long it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetime {
    /// Step that writes it.
    pub(crate) first: usize,
    /// Last step that reads it.
    pub(crate) last: usize,
    /// Floats.
    pub(crate) length: usize,
}

/// Floats of a cache line; maps begin on one.
const LINE: usize = 16;

/// Gives each map its offset; also the length of the arena.
pub(crate) fn place(maps: &[Lifetime]) -> (Vec<usize>, usize) {
    let mut offsets = vec![0; maps.len()];
    let mut order: Vec<_> = (0..maps.len()).collect();
    // The largest first: small ones fit into what is left.
    order.sort_by_key(|&index| std::cmp::Reverse(maps[index].length));
    let mut placed: Vec<usize> = Vec::new();
    let mut end = 0;
    for index in order {
        let map = maps[index];
        let mut taken: Vec<_> = placed
            .iter()
            .filter(|&&other| maps[other].first <= map.last && map.first <= maps[other].last)
            .map(|&other| (offsets[other], offsets[other] + maps[other].length))
            .collect();
        taken.sort_unstable();
        let mut offset = 0;
        for (from, to) in taken {
            if offset + map.length <= from {
                break;
            }
            offset = offset.max(to.next_multiple_of(LINE));
        }
        offsets[index] = offset;
        placed.push(index);
        end = end.max(offset + map.length);
    }
    (offsets, end.next_multiple_of(LINE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_share_memory_when_they_do_not_meet() {
        let map = |first, last, length| Lifetime {
            first,
            last,
            length,
        };
        let (offsets, length) = place(&[map(0, 1, 100), map(1, 2, 50), map(2, 3, 90)]);
        assert_eq!(offsets, [0, 112, 0]);
        assert_eq!(length, 176);
    }
}
