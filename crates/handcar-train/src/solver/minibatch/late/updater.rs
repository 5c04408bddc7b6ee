//! The server half: pushes that stand alone, each with its lateness.

use super::super::rule::{AdaDelay, AdaptiveRevision, AsyncAdaGrad, Late, Lateness, Rates};
use super::super::updater::Params;
use crate::penalty::ElasticNet;
use handcar_base::{Key, key};
use handcar_ps::{Registry, Updater};

/// What to do with a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Update by the gradients of a batch that one worker had.
    Learn(Lateness),
    /// Begin with the f32 weight whose bits were pushed by one worker (the others push 0).
    Start,
}

impl Request {
    pub fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Learn(Lateness { push, delay }) => [push.to_le_bytes(), delay.to_le_bytes()].concat(),
            Self::Start => Vec::new(),
        }
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [] => Some(Self::Start),
            _ => {
                let (push, delay) = bytes.split_first_chunk()?;
                let late =
                    Lateness { push: u64::from_le_bytes(*push), delay: u64::from_le_bytes(delay.try_into().ok()?) };
                (late.delay < late.push).then_some(Self::Learn(late))
            }
        }
    }
}

/// Adds the updaters of all rules for late gradients.
pub(in super::super) fn register(registry: &mut Registry) {
    register_rule::<AdaDelay>(registry);
    register_rule::<AsyncAdaGrad>(registry);
    register_rule::<AdaptiveRevision>(registry);
    super::counter::register(registry);
}

/// The name of a rule's updater.
pub(super) fn name<R: Late>() -> String {
    format!("minibatch.late.{}", R::NAME)
}

fn register_rule<R: Late>(registry: &mut Registry) {
    registry.register(&name::<R>(), |bytes| match Params::from_bytes(bytes) {
        Some(params) => Ok(LateUpdater::<R> {
            rule: R::new(params.rates),
            free: R::new(Rates { penalty: ElasticNet::NONE, ..params.rates }),
            params,
            request: Request::Start,
            ratio: 1.0,
        }),
        None => Err(format!("expected the parameters of {}, got {} other bytes", R::NAME, bytes.len())),
    });
}

struct LateUpdater<R> {
    rule: R,
    /// For the intercept, which is not penalised.
    free: R,
    params: Params,
    request: Request,
    /// Of the push's lateness.
    ratio: f32,
}

impl<R: Late> Updater for LateUpdater<R> {
    type Entry = R::State;
    type Push = i64;
    type Pull = f32;

    /// A gradient, and what the worker remembered if the rule wants it, as bits of an f32.
    fn push_width(&self) -> usize {
        1 + R::REMEMBERS as usize
    }

    fn pull_width(&self) -> usize {
        R::State::default().as_ref().len()
    }

    fn init(&self, _key: Key) -> R::State {
        R::State::default()
    }

    fn begin(&mut self, args: &[u8]) -> Result<(), String> {
        self.request = Request::from_bytes(args)
            .ok_or_else(|| format!("expected a push's number and its smaller delay, got {args:?}"))?;
        if let Request::Learn(late) = self.request {
            self.ratio = late.ratio();
            self.rule.go_to(late.push - 1);
            self.free.go_to(late.push - 1);
        }
        Ok(())
    }

    fn apply(&mut self, key: Key, state: &mut R::State, pushed: &[i64]) {
        let rule = if key == key::INTERCEPT { &self.free } else { &self.rule };
        match self.request {
            Request::Start => *state = rule.start(f32::from_bits(pushed[0] as u32)),
            // As in one process: a sum of zero is no update.
            Request::Learn(_) if pushed[0] == 0 => {}
            Request::Learn(_) => {
                let then = pushed.get(1).map_or(0.0, |&bits| f32::from_bits(bits as u32));
                rule.update_late(state, pushed[0] as f32 * self.params.scale_of(key), self.ratio, then);
            }
        }
    }

    fn read(&self, _key: Key, state: &R::State, out: &mut [f32]) {
        out.copy_from_slice(state.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_back_and_impossible_ones_are_refused() {
        for request in [Request::Start, Request::Learn(Lateness { push: 9, delay: 8 })] {
            assert_eq!(Request::from_bytes(&request.to_bytes()), Some(request));
        }
        assert_eq!(Request::from_bytes(&[1, 2]), None);
        assert_eq!(Request::from_bytes(&Request::Learn(Lateness { push: 4, delay: 4 }).to_bytes()), None);
    }
}
