//! The server half of DBPG: aggregates gradients, takes the proximal step, keeps the active set.

use super::answer::Answer;
use super::momentum::extrapolate;
use super::request::{Bound, Function, Request};
use crate::penalty::{Bounds, ElasticNet, soft};
use handcar_base::{Key, KeyRange, key::INTERCEPT};
use handcar_kernels::elementary::exp_nonpositive;
use handcar_ps::{Entry, Registry, Store, Updater};

/// Name under which servers know the updater.
pub const NAME: &str = "dbpg";

/// First trust region: how far a weight may move in its first step.
pub(super) const TRUST_FIRST: f32 = 1.0;
/// Largest trust region.
pub(super) const TRUST_MAX: f32 = 5.0;
/// Smallest one: twice the last move and this much.
pub(super) const TRUST_MIN: f32 = 0.1;
/// Keeps a key that no row has from dividing by zero.
pub(super) const CURVATURE_MIN: f64 = 1e-10;

/// Adds the updater to a registry: what a server needs to take part in `fit --solver dbpg`.
pub fn register(registry: &mut Registry) {
    registry.register(NAME, |bytes| {
        Ok(DbpgUpdater { penalty: from_params(bytes)?, request: Request::Start, answer: Answer::default() })
    });
}

/// Parameters for `create_table`.
pub(super) fn params(penalty: ElasticNet) -> Vec<u8> {
    let ElasticNet { l1, l2, bounds } = penalty;
    [l1, l2, bounds.lower() as f64, bounds.upper() as f64].iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// Reads [`params`]; those without bounds, 16 bytes, have none.
fn from_params(bytes: &[u8]) -> Result<ElasticNet, String> {
    let (records, rest) = bytes.as_chunks::<8>();
    let numbers: Vec<f64> = records.iter().map(|b| f64::from_le_bytes(*b)).collect();
    let read = match numbers[..] {
        [l1, l2] => Some((l1, l2, Bounds::NONE)),
        [l1, l2, lower, upper] => Bounds::new(lower, upper).ok().map(|bounds| (l1, l2, bounds)),
        _ => None,
    };
    match read {
        Some((l1, l2, bounds)) if rest.is_empty() && l1 >= 0.0 && l2 >= 0.0 => Ok(ElasticNet { l1, l2, bounds }),
        _ => {
            let expected = "l1 >= 0 and l2 >= 0 as 16 bytes, or with lower <= 0 <= upper as 32";
            Err(format!("expected {expected}, got {} bytes {numbers:?}", bytes.len()))
        }
    }
}

/// A weight and its state. The active mark is kept apart from the weight, so that a key that left the active set can
/// come back with the weight it had.
#[derive(Clone, Debug)]
struct Coordinate {
    weight: f32,
    /// The weight at the end of the last pass, for extrapolation.
    before: f32,
    /// How far it may move in one step.
    trust: f32,
    /// Bound on the curvature that holds everywhere.
    cap: f32,
    active: bool,
}

impl Entry for Coordinate {
    fn write(&self, out: &mut Vec<u8>) {
        ([self.weight, self.before, self.trust, self.cap], self.active).write(out);
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        let ([weight, before, trust, cap], active) = <([f32; 4], bool)>::read(from)?;
        Some(Self { weight, before, trust, cap, active })
    }
}

struct DbpgUpdater {
    penalty: ElasticNet,
    request: Request,
    answer: Answer,
}

impl DbpgUpdater {
    fn penalty_of(&self, key: Key) -> ElasticNet {
        if key == INTERCEPT { ElasticNet::NONE } else { self.penalty }
    }

    /// The bounds of a penalised key.
    fn bounds_of(&self, key: Key) -> Option<Bounds> {
        (key != INTERCEPT).then_some(self.penalty.bounds)
    }
}

impl Updater for DbpgUpdater {
    type Entry = Coordinate;
    type Push = i64;
    type Pull = f32;

    fn push_width(&self) -> usize {
        2
    }

    /// The weight, and 1 if the key is active.
    fn pull_width(&self) -> usize {
        2
    }

    fn init(&self, _key: Key) -> Coordinate {
        Coordinate { weight: 0.0, before: 0.0, trust: TRUST_FIRST, cap: f32::MAX, active: true }
    }

    fn begin(&mut self, args: &[u8]) -> Result<(), String> {
        self.request = Request::from_bytes(args).ok_or_else(|| format!("expected a dbpg request, got {args:?}"))?;
        self.answer = Answer::default();
        Ok(())
    }

    fn apply(&mut self, key: Key, c: &mut Coordinate, pushed: &[i64]) {
        let penalty = self.penalty_of(key);
        match self.request {
            // Rounded up: a bound stays a bound.
            Request::Cap { scale } => c.cap = ((pushed[0] as f64 * scale) as f32).next_up(),
            Request::Start => {
                c.weight = f32::from_bits(pushed[0] as u32);
                c.before = c.weight;
            }
            Request::Place => {
                replace(&mut c.weight, &mut c.before, &mut c.active, f32::from_bits(pushed[0] as u32));
            }
            Request::Set => c.weight = f32::from_bits(pushed[0] as u32),
            Request::Step { gradient_scale, curvature_scale, bound, relax, slack } => {
                let w = c.weight as f64;
                let g = pushed[0] as f64 * gradient_scale;
                let h = pushed[1] as f64 * curvature_scale;
                let (u, limit) = match bound {
                    Bound::OneHot => ((h / exp_nonpositive(-c.trust as f64)).min(c.cap as f64), c.trust as f64),
                    Bound::Within(trust) => (h.min(c.cap as f64), trust),
                    Bound::Always => (c.cap as f64, TRUST_MAX as f64),
                };
                self.answer.violation = self.answer.violation.max(penalty.violation(w, g));
                let target = penalty.step(w, g, (u + CURVATURE_MIN) / relax);
                let next = penalty.bounds.clip_f32((w + (target - w).clamp(-limit, limit)) as f32);
                c.trust = (2.0 * (next - c.weight).abs() + TRUST_MIN).min(TRUST_MAX);
                c.weight = next;
                c.active = next != 0.0 || slack < 0.0 || penalty.pull_from_zero(g) > penalty.l1 - slack;
            }
            Request::Measure { gradient_scale, renew } => {
                let g = pushed[0] as f64 * gradient_scale;
                let violation = penalty.violation(c.weight as f64, g);
                self.answer.violation = self.answer.violation.max(violation);
                if key != INTERCEPT && penalty.is_bounded_along(-g) {
                    self.answer.conjugate.add(penalty.conjugate(-g));
                } else if key != INTERCEPT {
                    self.answer.gradient_max = self.answer.gradient_max.max(g.abs());
                    self.answer.squares.add(soft(g, penalty.l1).powi(2));
                }
                if let Some(slack) = renew {
                    c.active = c.weight != 0.0 || slack < 0.0 || penalty.pull_from_zero(g) > penalty.l1 - slack;
                }
                self.answer.active += c.active as u64;
            }
        }
    }

    fn end(&mut self) -> Vec<u8> {
        match self.request {
            Request::Measure { .. } => self.answer.to_bytes(),
            _ => self.answer.to_short_bytes(),
        }
    }

    fn read(&self, _key: Key, c: &Coordinate, out: &mut [f32]) {
        out[0] = c.weight;
        out[1] = c.active as u8 as f32;
    }

    fn call(&mut self, store: &mut Store<Coordinate>, args: &[u8]) -> Result<Vec<u8>, String> {
        let mut answer = Answer::default();
        match Function::from_bytes(args).ok_or_else(|| format!("expected a dbpg function, got {args:?}"))? {
            Function::Penalty => {
                for (key, c) in store.iter() {
                    answer.active += c.active as u64;
                    if key != INTERCEPT && c.weight != 0.0 {
                        answer.nonzeros += 1;
                        answer.absolute.add(c.weight.abs() as f64);
                        answer.squares.add(c.weight as f64 * c.weight as f64);
                    }
                }
            }
            Function::Extrapolate { beta } => {
                for (key, c) in store.iter_mut() {
                    let next = extrapolate(c.weight, c.before, beta, self.bounds_of(key));
                    c.before = c.weight;
                    c.weight = next;
                }
            }
            Function::Shift { ranges } => {
                for (first, last, by) in ranges {
                    for (key, c) in store.range_mut(KeyRange::new(first, last as u128 + 1)) {
                        let bounds = self.penalty_of(key).bounds;
                        shift(&mut c.weight, &mut c.before, &mut c.active, by, bounds);
                    }
                }
            }
        }
        Ok(answer.to_bytes())
    }
}

/// Sets a weight and moves its memory along: a Newton step is no change for momentum to follow.
pub(super) fn replace(weight: &mut f32, before: &mut f32, active: &mut bool, by: f32) {
    *before += by - *weight;
    *weight = by;
    *active = *active || *weight != 0.0;
}

/// Moves a weight together with its memory: a shift is no change for momentum to follow. It goes no further than the bounds, which
/// only rounding could pass.
pub(super) fn shift(weight: &mut f32, before: &mut f32, active: &mut bool, by: f32, bounds: Bounds) {
    *weight = bounds.clip_f32(*weight + by);
    *before += by;
    *active = *active || *weight != 0.0;
}

#[cfg(test)]
mod tests {
    use super::*;

    const L1: f64 = 2.0;

    /// Applies one push to a fresh coordinate of key 5 after changing it by `change`.
    fn applied(request: Request, pushed: [i64; 2], change: impl Fn(&mut Coordinate)) -> Coordinate {
        let penalty = ElasticNet::new(L1, 0.0);
        let mut u = DbpgUpdater { penalty, request: Request::Start, answer: Answer::default() };
        let mut c = u.init(5);
        c.cap = 100.0;
        change(&mut c);
        u.begin(&request.to_bytes()).unwrap();
        u.apply(5, &mut c, &pushed);
        c
    }

    fn step(slack: f64) -> Request {
        let bound = Bound::OneHot;
        Request::Step { gradient_scale: 0.5, curvature_scale: 1.0, bound, relax: 1.0, slack }
    }

    #[test]
    fn a_zero_weight_with_a_small_gradient_leaves_and_a_measurement_brings_it_back() {
        // Gradients in halves: 1.0 and 3.0.
        let gone = applied(step(0.5), [2, 10], |_| ());
        assert_eq!((gone.weight, gone.active), (0.0, false));
        let measure = Request::Measure { gradient_scale: 0.5, renew: Some(0.5) };
        let back = applied(measure, [6, 0], |c| *c = gone.clone());
        assert_eq!((back.weight, back.active), (0.0, true));
        let still_gone = applied(measure, [2, 0], |c| *c = gone.clone());
        assert!(!still_gone.active);
        let only_looked = applied(Request::Measure { gradient_scale: 0.5, renew: None }, [6, 0], |c| *c = gone.clone());
        assert!(!only_looked.active);
    }

    #[test]
    fn a_mark_never_touches_the_weight() {
        let measure = Request::Measure { gradient_scale: 1.0, renew: Some(0.0) };
        let c = applied(measure, [0, 0], |c| (c.weight, c.active) = (0.25, false));
        assert_eq!((c.weight, c.active), (0.25, true));
    }

    #[test]
    fn steps_stay_in_the_trust_region_which_follows_them() {
        let far = applied(step(-1.0), [-2000, 1], |c| c.trust = 0.5);
        assert_eq!((far.weight, far.trust), (0.5, 1.1));
        let near = applied(step(-1.0), [-5, 100], |_| ());
        assert!(near.weight > 0.0 && near.trust < 0.2, "{near:?}");
    }

    #[test]
    fn what_a_bound_holds_rests_and_needs_no_scaling() {
        let bounds = Bounds::new(0.0, 0.25).unwrap();
        let penalty = ElasticNet { bounds, ..ElasticNet::new(L1, 0.0) };
        let mut u = DbpgUpdater { penalty, request: Request::Start, answer: Answer::default() };
        let mut c = Coordinate { cap: 100.0, ..u.init(5) };
        // Gradients in halves: 10 pushes below zero, -100 beyond the upper bound.
        u.begin(&step(0.5).to_bytes()).unwrap();
        u.apply(5, &mut c, &[20, 10]);
        assert_eq!((c.weight, c.active, u.answer.violation), (0.0, false, 0.0));
        c.trust = TRUST_FIRST;
        u.apply(5, &mut c, &[-200, 1]);
        assert_eq!((c.weight, c.active), (0.25, true));
        u.begin(&Request::Measure { gradient_scale: 0.5, renew: None }.to_bytes()).unwrap();
        u.apply(5, &mut c, &[-20, 0]);
        // The largest 10·v - 2·v there is.
        assert_eq!((u.answer.conjugate.value(), u.answer.gradient_max, u.answer.violation), (2.0, 0.0, 0.0));
    }

    #[test]
    fn parameters_of_another_length_or_that_leave_out_zero_are_refused() {
        let bounds = Bounds::new(-1.0, f64::INFINITY).unwrap();
        for penalty in [ElasticNet::new(1.0, 0.5), ElasticNet { bounds, ..ElasticNet::new(0.0, 2.0) }] {
            assert_eq!(from_params(&params(penalty)), Ok(penalty));
        }
        let bytes = |x: &[f64]| x.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        assert_eq!(from_params(&bytes(&[1.0, 0.5])), Ok(ElasticNet::new(1.0, 0.5)));
        for bad in [&[1.0][..], &[-1.0, 0.0], &[1.0, 0.0, 0.5], &[1.0, 0.0, 0.5, 1.0], &[f64::NAN, 0.0]] {
            assert!(from_params(&bytes(bad)).unwrap_err().contains("got"), "{bad:?}");
        }
        assert!(from_params(&params(ElasticNet::NONE)[1..]).is_err());
    }

    #[test]
    fn a_placed_weight_moves_its_memory_along() {
        let c = applied(Request::Place, [0.75f32.to_bits() as i64, 0], |c| (c.weight, c.before) = (0.25, 0.5));
        assert_eq!((c.weight, c.before), (0.75, 1.0));
    }

    #[test]
    fn a_set_weight_leaves_its_memory_where_it_was() {
        let c = applied(Request::Set, [0.75f32.to_bits() as i64, 0], |c| (c.weight, c.before) = (0.25, 0.5));
        assert_eq!((c.weight, c.before), (0.75, 0.5));
    }
}
