//! How large numbers have been so far: the room that integer sums of a stream are given.

use crate::loss::{LossKind, Size, exponent};
use std::borrow::Cow;

/// The largest numbers so far, as powers of two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Room {
    labels: i32,
    weights: i32,
    size: Size,
}

impl Room {
    /// That of labels and weights up to 1.
    pub fn of(loss: LossKind) -> Self {
        Self { labels: 0, weights: 0, size: loss.size(0) }
    }

    /// Makes room for a batch; what is empty is all ones.
    pub fn make(&mut self, loss: LossKind, labels: &[f32], weights: &[f32]) {
        let larger = |room: i32, numbers: &[f32]| if numbers.is_empty() { room } else { room.max(exponent(numbers)) };
        self.labels = larger(self.labels, labels);
        self.weights = larger(self.weights, weights);
        self.size = loss.size(self.labels);
    }

    /// What losses and derivatives have.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The power of two that example weights are divided by.
    pub fn weights(&self) -> i32 {
        self.weights
    }

    /// Example weights as numbers up to one.
    pub fn scaled<'w>(&self, weights: &'w [f32]) -> Cow<'w, [f32]> {
        let scale = 2f32.powi(-self.weights);
        match self.weights {
            0 => Cow::Borrowed(weights),
            _ => Cow::Owned(weights.iter().map(|w| w * scale).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_grows_and_never_shrinks() {
        let mut room = Room::of(LossKind::Squared);
        room.make(LossKind::Squared, &[0.5], &[]);
        assert_eq!(room, Room::of(LossKind::Squared));
        room.make(LossKind::Squared, &[-9.0, 2.0], &[3.0]);
        assert_eq!((room.weights(), room.size()), (2, LossKind::Squared.size(4)));
        assert_eq!(room.scaled(&[3.0, 1.0])[..], [0.75, 0.25]);
        room.make(LossKind::Squared, &[1.0], &[1.0]);
        assert_eq!((room.weights(), room.size()), (2, LossKind::Squared.size(4)));
    }
}
