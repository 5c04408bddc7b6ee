//! AdaGrad on late gradients.

use super::{AdaGrad, Late, Rates, Rule};

/// AdaGrad on gradients that may be late, which it does not ask: what [`AdaDelay`](super::AdaDelay) is measured against.
#[derive(Clone, Debug)]
pub struct AsyncAdaGrad(AdaGrad);

impl Rule for AsyncAdaGrad {
    const NAME: &'static str = "async-adagrad";
    type State = [f32; 3];

    fn new(rates: Rates) -> Self {
        Self(AdaGrad::new(rates))
    }

    fn go_to(&mut self, batch: u64) {
        self.0.go_to(batch);
    }

    #[inline(always)]
    fn weight(&self, state: &[f32; 3]) -> f32 {
        self.0.weight(state)
    }

    #[inline(always)]
    fn update(&self, state: &mut [f32; 3], g: f32) {
        self.0.update(state, g);
    }

    fn start(&self, w: f32) -> [f32; 3] {
        self.0.start(w)
    }

    fn settled(&self, state: &[f32; 3]) -> [f32; 3] {
        self.0.settled(state)
    }

    fn join(base: &[f32; 3], mine: &[f32; 3], all: &[f32; 3]) -> [f32; 3] {
        AdaGrad::join(base, mine, all)
    }
}

impl Late for AsyncAdaGrad {
    fn update_late(&self, state: &mut [f32; 3], g: f32, _ratio: f32, _then: f32) {
        self.0.update(state, g);
    }
}
