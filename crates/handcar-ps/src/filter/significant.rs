//! `significant:c`: holds rows back until they changed enough.

use super::Filter;
use super::block::Block;
use super::bytes::{Reader, put_varint};
use super::context::{Context, Direction};
use super::error::FilterError;
use super::owed::Owed;
use super::params::{Params, check};
use super::rows::Rows;
use crate::message::Task;
use crate::values::Values;
use handcar_base::Key;

mod last;
mod outbox;

use last::Last;
use outbox::Outbox;

/// Sends a row when one of its numbers differs by more than `D_t = c/t` from what the receiver has, `t` being the task
/// (from 1). State is kept for each receiver and key.
///
/// - In a reply to a pull, numbers are values: the receiver keeps its last ones for rows that do not come.
/// - In a push they are additions (`add`, the default): the rows held back add up until their sum exceeds `D_t`; sum
///   tables lose nothing and have it later. With `copy` they are values, for tables that keep what was pushed last.
///
/// With [`Context::flush`] everything held back is sent. Li, Andersen, Smola, Yu, NIPS 2014, section 3.3.
///
/// Not-a-number and infinity pass exactly where numbers are values, and are refused where they add up.
pub struct Significant {
    c: f64,
    role: Role,
}

enum Role {
    Add(Owed),
    Copy {
        outbox: Outbox,
        /// What replies told this receiver; `None` in pushes, where the table itself keeps the last values.
        last: Option<Last>,
        /// The task encoded last.
        sent: Option<Task>,
    },
}

impl Significant {
    /// `significant:c[:add|copy]`, `c >= 0`.
    pub fn new(params: &Params<'_>) -> Result<Self, FilterError> {
        params.at_most(2)?;
        let what = "c >= 0";
        let c = check(params.required(0, what)?, what, |c: f64| c >= 0.0 && c.is_finite())?;
        let pull = params.direction == Direction::Pull;
        let (dtype, width) = (params.dtype, params.width);
        let copy = || Role::Copy {
            outbox: Outbox::new(dtype, width),
            last: pull.then(|| Last::new(dtype, width)),
            sent: None,
        };
        let role = match params.texts.get(1).map(String::as_str) {
            None if pull => copy(),
            None => Role::Add(Owed::new(dtype, width)),
            Some("copy") => copy(),
            Some("add") => {
                params.only_push()?;
                Role::Add(Owed::new(dtype, width))
            }
            Some(other) => return Err(FilterError::unfit("`add` or `copy`", format!("{other:?}"))),
        };
        Ok(Self { c, role })
    }
}

/// The rows of which one number exceeds `bound` in magnitude.
fn exceeding(values: &Values, width: usize, bound: f64) -> Rows {
    let rows = values.len().checked_div(width).unwrap_or(0);
    Rows::from_fn(rows, |row| (row * width..(row + 1) * width).any(|i| values.real(i).abs() > bound))
}

fn encode_sums(owed: &mut Owed, cx: &Context<'_>, mut block: Block, bound: f64) -> Result<Block, FilterError> {
    let keys = block.selected();
    let charged = owed.charge(&keys, block.numbers()?)?;
    owed.commit(&charged);
    if cx.flush {
        return owed.settle(block);
    }
    let kept = exceeding(&charged.values, block.width, bound);
    *block.numbers_mut()? = charged.values;
    let block = block.keep(&kept)?;
    owed.pay(&block.selected(), block.numbers()?);
    Ok(block)
}

impl Filter for Significant {
    fn name(&self) -> &str {
        "significant"
    }

    fn encode(&mut self, cx: &Context<'_>, block: Block, note: &mut Vec<u8>) -> Result<Block, FilterError> {
        let bound = self.c / cx.task.0.max(1) as f64;
        match &mut self.role {
            Role::Add(owed) => encode_sums(owed, cx, block, bound),
            Role::Copy { outbox, last, sent } => {
                let block = outbox.encode(block, bound, cx.flush)?;
                if last.is_some() {
                    match sent.replace(cx.task) {
                        None => note.push(0),
                        Some(task) => {
                            note.push(1);
                            put_varint(note, task.0);
                        }
                    }
                }
                Ok(block)
            }
        }
    }

    fn decode(&mut self, cx: &Context<'_>, block: Block, note: &[u8]) -> Result<Block, FilterError> {
        let mut r = Reader(note);
        let block = match &mut self.role {
            Role::Copy { last: Some(last), .. } => {
                let after = match r.u8()? {
                    0 => None,
                    1 => Some(Task(r.varint()?)),
                    other => return Err(FilterError::unfit("a note that starts with 0 or 1", other.to_string())),
                };
                r.end()?;
                last.decode(cx.task, after, block)?
            }
            _ => block,
        };
        r.end()?;
        Ok(block)
    }

    fn held(&self) -> Vec<Key> {
        match &self.role {
            Role::Add(owed) => owed.keys(),
            Role::Copy { outbox, .. } => outbox.held(),
        }
    }

    fn reset(&mut self) {
        if let Role::Copy { outbox, last, sent } = &mut self.role {
            outbox.forget();
            *sent = None;
            if let Some(last) = last {
                last.forget();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::testing::{cx, ends, list, pushes};
    use crate::values::Dtype;
    use handcar_base::{Rng, Seed};

    #[test]
    fn the_receiver_of_replies_is_never_further_off_than_the_threshold() {
        let mut rng = Rng::new(Seed(2), 0);
        let mut w = vec![0.0f32; 100];
        let mut ends = ends("significant:4", Direction::Pull, Dtype::F32, 1);
        let mut sent = 0;
        for task in 1..60 {
            w.iter_mut().for_each(|x| *x += (rng.uniform() - 0.5) as f32);
            // Overlapping lists share what the receiver knows.
            let keys = list((0..100u64).filter(|k| k % 3 != task % 3));
            let now: Vec<f32> = keys.keys().iter().map(|&k| w[k as usize]).collect();
            let bytes = ends.encode(task, &keys, now.clone()).unwrap();
            sent += bytes.len();
            let got = ends.decode(task, &keys, &bytes).unwrap();
            assert_eq!(got, ends.decode(task, &keys, &bytes).unwrap());
            assert!(got.rows.is_all());
            for (i, &x) in now.iter().enumerate() {
                assert!((got.values.real(i) - f64::from(x)).abs() <= 4.0 / task as f64);
            }
        }
        assert!(sent < 59 * 67 * 4 * 9 / 10, "{sent} bytes");
    }

    #[test]
    fn a_flushed_reply_is_exact() {
        let mut ends = ends("significant:1e9", Direction::Pull, Dtype::F32, 1);
        let keys = list([1, 2, 3]);
        ends.send(1, &keys, vec![1.0f32, 2.0, 3.0]);
        assert_eq!(ends.send(2, &keys, vec![5.0f32, 2.0, 7.0]).values, vec![1.0f32, 2.0, 3.0].into());
        let now = Context { flush: true, ..cx(3, Direction::Pull) };
        let bytes = ends.sender.encode(&now, &keys, vec![5.0f32, 2.0, 7.5].into()).unwrap();
        assert_eq!(ends.decode(3, &keys, &bytes).unwrap().values, vec![5.0f32, 2.0, 7.5].into());
        assert!(ends.sender.flush(&now).unwrap().is_none());
    }

    #[test]
    fn a_missing_reply_is_noticed_and_a_reset_mends_it() {
        let mut ends = ends("significant:1", Direction::Pull, Dtype::I64, 1);
        let keys = list([1, 2]);
        ends.send(1, &keys, vec![10i64, 20]);
        ends.encode(2, &keys, vec![30i64, 20]).unwrap();
        let bytes = ends.encode(3, &keys, vec![30i64, 40]).unwrap();
        let e = ends.decode(3, &keys, &bytes).unwrap_err();
        assert_eq!(e.to_string(), "filter significant: expected to have decoded task 2 before, got task 1");
        assert!(matches!(e, FilterError::Behind { .. }));
        ends.sender.reset();
        ends.receiver.reset();
        assert_eq!(ends.send(4, &keys, vec![30i64, 40]).values, vec![30i64, 40].into());
    }

    #[test]
    fn an_old_reply_does_not_undo_a_newer_one() {
        let mut ends = ends("significant:0", Direction::Pull, Dtype::F64, 1);
        let keys = list([1, 2]);
        let old = ends.encode(1, &keys, vec![1.0f64, 2.0]).unwrap();
        ends.decode(1, &keys, &old).unwrap();
        ends.send(2, &keys, vec![3.0f64, 2.0]);
        ends.decode(1, &keys, &old).unwrap();
        assert_eq!(ends.send(3, &keys, vec![3.0f64, 2.0]).values, vec![3.0f64, 2.0].into());
    }

    #[test]
    fn pushes_held_back_add_up_and_arrive() {
        let mut ends = pushes("significant:10", Dtype::I64, 2);
        let keys = list([1, 2]);
        let mut arrived = [0i64; 4];
        let mut messages = 0;
        for task in 1..=9 {
            let got = ends.send(task, &keys, vec![1i64, 0, 3, -1]);
            messages += got.rows.count();
            let Values::I64(v) = got.values else { panic!("integers stay integers") };
            for (row, i) in v.chunks(2).zip(got.rows.iter()) {
                (arrived[2 * i], arrived[2 * i + 1]) = (arrived[2 * i] + row[0], arrived[2 * i + 1] + row[1]);
            }
            // After task t no number held back exceeds c/t.
            let late = 10 / task as i64;
            assert!(task as i64 - arrived[0] <= late && 3 * task as i64 - arrived[2] <= late);
        }
        assert!(messages < 18);
        if let Some((list, got)) = ends.flush(10) {
            let Values::I64(v) = got.values else { panic!("integers stay integers") };
            for (row, &k) in v.chunks(2).zip(got.rows.iter().map(|i| &list.keys()[i])) {
                arrived[2 * (k as usize - 1)] += row[0];
                arrived[2 * (k as usize - 1) + 1] += row[1];
            }
        }
        assert_eq!(arrived, [9, 0, 27, -9]);
    }

    #[test]
    fn copied_pushes_leave_out_what_the_table_has() {
        let mut ends = pushes("significant:1:copy", Dtype::F32, 1);
        let keys = list([1, 2, 3]);
        assert_eq!(ends.send(1, &keys, vec![1.0f32, f32::NAN, 3.0]).rows.count(), 3);
        let got = ends.send(2, &keys, vec![1.25f32, f32::INFINITY, 9.0]);
        assert_eq!((got.keys(&keys).keys(), got.values), (&[2, 3][..], vec![f32::INFINITY, 9.0].into()));
        let (keys, got) = ends.flush(3).unwrap();
        assert_eq!((keys.keys(), got.values), (&[1][..], vec![1.25f32].into()));
        assert!(ends.flush(4).is_none());
    }
}
