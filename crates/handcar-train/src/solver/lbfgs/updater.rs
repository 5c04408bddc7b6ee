//! The server half of L-BFGS: keeps the history, makes directions, takes steps, measures.

use super::coordinate::{Coordinate, pseudo_gradient};
use super::note::{DirectionNote, GradientNote, PairNote, TrialNote};
use super::products::Products;
use super::request::{Function, Request};
use crate::penalty::{ElasticNet, soft};
use handcar_base::{Key, key::INTERCEPT};
use handcar_kernels::{Kernel, run};
use handcar_ps::{Registry, Store, Updater};

/// Pairs that tables have room for: those of a job are in the first that is large enough.
pub(super) const ROOMS: [usize; 4] = [5, 10, 20, 40];

/// Less curvature than this is that of a key without rows, and no measure of a scale.
const CURVATURE_MIN: f64 = 1e-10;

/// Name under which servers know the updater with room for so many pairs.
pub(super) fn name(room: usize) -> String {
    format!("lbfgs.{room}")
}

/// Adds the updaters to a registry: what a server needs to take part in `fit --solver lbfgs`.
pub fn register(registry: &mut Registry) {
    with_room::<{ ROOMS[0] }>(registry);
    with_room::<{ ROOMS[1] }>(registry);
    with_room::<{ ROOMS[2] }>(registry);
    with_room::<{ ROOMS[3] }>(registry);
}

fn with_room<const M: usize>(registry: &mut Registry) {
    registry.register(&name(M), |params| {
        let numbers: Vec<f64> =
            params.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap_or_default())).collect();
        match numbers[..] {
            [l1, l2] if params.len() == 16 && l1 >= 0.0 && l2 >= 0.0 => Ok(LbfgsUpdater::<M> {
                penalty: ElasticNet::new(l1, l2),
                request: Request::Start,
                note: GradientNote::default(),
            }),
            _ => Err(format!("expected l1 >= 0 and l2 >= 0 as 16 bytes, got {} bytes {numbers:?}", params.len())),
        }
    });
}

/// Parameters for `create_table`.
pub(super) fn params(penalty: ElasticNet) -> Vec<u8> {
    [penalty.l1.to_le_bytes(), penalty.l2.to_le_bytes()].concat()
}

struct LbfgsUpdater<const M: usize> {
    penalty: ElasticNet,
    request: Request,
    note: GradientNote,
}

#[inline(always)]
fn penalty_of(penalty: ElasticNet, key: Key) -> ElasticNet {
    if key == INTERCEPT { ElasticNet::NONE } else { penalty }
}

impl<const M: usize> Updater for LbfgsUpdater<M> {
    type Entry = Coordinate<M>;
    type Push = i64;
    type Pull = f64;

    fn push_width(&self) -> usize {
        2
    }

    fn init(&self, _key: Key) -> Coordinate<M> {
        Coordinate::ZERO
    }

    fn begin(&mut self, args: &[u8]) -> Result<(), String> {
        self.request = Request::from_bytes(args).ok_or_else(|| format!("expected an lbfgs request, got {args:?}"))?;
        self.note = GradientNote::default();
        Ok(())
    }

    fn apply(&mut self, key: Key, c: &mut Coordinate<M>, pushed: &[i64]) {
        let p = penalty_of(self.penalty, key);
        match self.request {
            Request::Start => {
                c.weight = f32::from_bits(pushed[0] as u32) as f64;
                c.trial = c.weight;
            }
            Request::Scale { unit, power } => {
                let curvature = unit * pushed[1] as f64 + p.l2;
                c.scale = if curvature > CURVATURE_MIN { curvature.powf(-power) } else { 1.0 };
            }
            Request::Gradient { gradient, dual } => {
                let sums = [pushed[0] as f64, pushed[1] as f64];
                let of = |scale: [f64; 2]| scale[0] * sums[0] + scale[1] * sums[1];
                c.trial_gradient = of(gradient) + p.l2 * c.trial;
                let pg = pseudo_gradient(c.trial, c.trial_gradient, p).abs();
                self.note.meet(1, ((c.trial_gradient - c.gradient) * c.scale).abs());
                self.note.meet(2, pg * c.scale);
                self.note.meet(3, pg);
                if key != INTERCEPT {
                    let a = of(dual);
                    self.note.meet(0, a.abs());
                    self.note.sums[0].add(soft(a, p.l1).powi(2));
                }
            }
        }
    }

    fn end(&mut self) -> Vec<u8> {
        match self.request {
            Request::Start | Request::Scale { .. } => Vec::new(),
            Request::Gradient { .. } => self.note.to_bytes(),
        }
    }

    fn read(&self, _key: Key, c: &Coordinate<M>, out: &mut [f64]) {
        out[0] = c.trial;
    }

    fn call(&mut self, store: &mut Store<Coordinate<M>>, args: &[u8]) -> Result<Vec<u8>, String> {
        let function =
            Function::from_bytes(args, M).ok_or_else(|| format!("expected an lbfgs function, got {args:?}"))?;
        let penalty = self.penalty;
        Ok(match function {
            Function::Commit { slot, exponents, vectors } => {
                let counts = run(Commit { store, penalty, slot, products: Products::new(&exponents, &vectors) });
                PairNote { counts, ..PairNote::default() }.to_bytes()
            }
            Function::Direct { s, y, pg, at_zero } => direct(store, &s, &y, [pg, at_zero], penalty).to_bytes(),
            Function::Try { a: 0.0 } => attempt(store, penalty, |_, c| c.weight).to_bytes(),
            Function::Try { a } => attempt(store, penalty, |p, c| c.moved(a, p)).to_bytes(),
            Function::Round => attempt(store, penalty, |_, c| c.weight as f32 as f64).to_bytes(),
        })
    }
}

struct Commit<'s, const M: usize> {
    store: &'s mut Store<Coordinate<M>>,
    penalty: ElasticNet,
    slot: usize,
    products: Products<M>,
}

impl<const M: usize> Kernel for Commit<'_, M> {
    type Output = Vec<i64>;

    #[inline(always)]
    fn run(self) -> Vec<i64> {
        let Self { store, penalty, slot, mut products } = self;
        for (key, c) in store.iter_mut() {
            // In f32 from here on: what dot products are taken of is what directions are made of.
            let s = ((c.trial - c.weight) / c.scale) as f32;
            let y = ((c.trial_gradient - c.gradient) * c.scale) as f32;
            (c.weight, c.gradient) = (c.trial, c.trial_gradient);
            (c.s[slot], c.y[slot]) = (s, y);
            let p = penalty_of(penalty, key);
            if c.is_free(p) {
                products.add(&c.s, &c.y, c.pseudo_gradient(p) * c.scale);
            }
        }
        products.finish()
    }
}

fn direct<const M: usize>(
    store: &mut Store<Coordinate<M>>,
    s: &[f64],
    y: &[f64],
    pg: [f64; 2],
    penalty: ElasticNet,
) -> DirectionNote {
    let (s, y): ([f64; M], [f64; M]) = (std::array::from_fn(|j| s[j]), std::array::from_fn(|j| y[j]));
    let mut note = DirectionNote::default();
    for (key, c) in store.iter_mut() {
        let p = penalty_of(penalty, key);
        let d = c.directed(&s, &y, pg, p);
        c.direction = d;
        if d == 0.0 {
            continue;
        }
        note.sums[0].add(c.pseudo_gradient(p) * d);
        note.sums[1].add(d * d);
        // Lengths of steps without orthants ask for these alone.
        if key != INTERCEPT && p.l1 == 0.0 {
            note.sums[2].add(c.weight * d);
            note.sums[3].add(d * d);
        }
    }
    note
}

fn attempt<const M: usize>(
    store: &mut Store<Coordinate<M>>,
    penalty: ElasticNet,
    to: impl Fn(ElasticNet, &Coordinate<M>) -> f64,
) -> TrialNote {
    let mut note = TrialNote { counts: vec![0], ..TrialNote::default() };
    for (key, c) in store.iter_mut() {
        let p = penalty_of(penalty, key);
        c.trial = to(p, c);
        let step = c.trial - c.weight;
        if step != 0.0 {
            note.meet(0, (step / c.scale).abs());
            note.sums[2].add(c.pseudo_gradient(p) * step);
        }
        if key != INTERCEPT && c.trial != 0.0 {
            note.counts[0] += 1;
            note.sums[0].add(c.trial.abs());
            note.sums[1].add(c.trial * c.trial);
        }
    }
    note
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_its_gradient_and_its_pair() {
        let penalty = ElasticNet::new(1.0, 0.5);
        let mut u = LbfgsUpdater::<5> { penalty, request: Request::Start, note: GradientNote::default() };
        let mut store = Store::new();
        store.insert(&[3, INTERCEPT], |key| u.init(key));
        let call = |u: &mut LbfgsUpdater<5>, store: &mut _, f: Function| u.call(store, &f.to_bytes()).unwrap();
        let push = |u: &mut LbfgsUpdater<5>, store: &mut Store<Coordinate<5>>, sums: [i64; 2]| {
            u.begin(&Request::Gradient { gradient: [-1.0, 1.0], dual: [-1.0, 1.0] }.to_bytes()).unwrap();
            store.iter_mut().for_each(|(key, c)| u.apply(key, c, &sums));
            GradientNote::join(&[u.end()], 0).unwrap()
        };
        // At zero: gradients of 4, of which the penalty takes 1 from the first.
        let note = push(&mut u, &mut store, [2, 6]);
        assert_eq!((note.maxima, note.sums()), ([4.0, 4.0, 4.0, 4.0], [9.0]));
        let exponents = vec![2; 11];
        call(&mut u, &mut store, Function::Commit { slot: 0, exponents: exponents.clone(), vectors: vec![] });
        let direct = Function::Direct { s: vec![0.0; 5], y: vec![0.0; 5], pg: -1.0, at_zero: -1.0 };
        let note = DirectionNote::join(&[call(&mut u, &mut store, direct)], 0).unwrap();
        assert_eq!(note.sums()[..2], [-25.0, 25.0]);
        let note = TrialNote::join(&[call(&mut u, &mut store, Function::Try { a: 0.5 })], 1).unwrap();
        assert_eq!((note.maxima, note.sums(), note.counts), ([2.0], [1.5, 2.25, -12.5], vec![1]));
        let moved: Vec<f64> = store.entries().iter().map(|c| c.trial).collect();
        assert_eq!(moved, [-1.5, -2.0]);
        // Gradients of 1, and l2 takes its part of the first.
        push(&mut u, &mut store, [5, 6]);
        let pair = PairNote::join(
            &[call(
                &mut u,
                &mut store,
                Function::Commit { slot: 1, exponents: exponents.clone(), vectors: vec![1, 6, 10] },
            )],
            33,
        );
        let [s, y, pg] = &super::super::products::values(&pair.unwrap().counts, &exponents, &[1, 6, 10])[..] else {
            unreachable!()
        };
        // s = (-1.5, -2), y = (0.25 - 4, 1 - 4), pseudo-gradient (0.25 - 1, 1).
        assert_eq!((s[1], s[6], s[10]), (6.25, 11.625, -0.875));
        assert_eq!((y[1], y[6], y[10]), (11.625, 23.0625, -0.1875));
        assert_eq!(pg[10], 1.5625);
        let note = TrialNote::join(&[call(&mut u, &mut store, Function::Try { a: 0.0 })], 1).unwrap();
        assert_eq!((note.maxima, note.sums()[2]), ([0.0], 0.0));
    }
}
