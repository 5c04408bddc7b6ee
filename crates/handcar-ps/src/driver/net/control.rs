//! Control messages as parcels.

use super::parcel::{Fields, Parcel, Reader};
use crate::engine::control::Control;
use crate::error::Role;

const HELLO: u8 = 1;
const WELCOME: u8 = 2;
/// Kind of a refusal, which may come in place of any answer.
pub const REFUSE: u8 = 3;
const BEAT: u8 = 4;
const LOST: u8 = 5;
const LEAVE: u8 = 6;
const END: u8 = 7;
const JOIN: u8 = 8;
const ADMIT: u8 = 9;

fn role_code(role: Role) -> u8 {
    match role {
        Role::Scheduler => 0,
        Role::Server => 1,
        Role::Worker => 2,
    }
}

fn read_role(code: u8) -> Result<Role, String> {
    match code {
        0 => Ok(Role::Scheduler),
        1 => Ok(Role::Server),
        2 => Ok(Role::Worker),
        other => Err(format!("a role 0, 1 or 2, got {other}")),
    }
}

/// The parcel of a control message.
pub fn pack(message: &Control) -> Parcel {
    let mut f = Fields::default();
    let kind = match message {
        Control::Hello { role, rank, name, addr } => {
            f.u8(role_code(*role)).u64(rank.map_or(u64::MAX, |r| r as u64));
            f.bytes(name.as_bytes()).bytes(addr.as_bytes());
            HELLO
        }
        Control::Welcome { rank, workers, job, servers } => {
            f.u64(*rank as u64).u64(*workers as u64).u64(*job).u32(servers.len() as u32);
            for s in servers {
                f.bytes(s.as_bytes());
            }
            WELCOME
        }
        Control::Refuse { reason } => {
            f.bytes(reason.as_bytes());
            REFUSE
        }
        Control::Beat { progress } => {
            f.u64(*progress);
            BEAT
        }
        Control::Lost { role, rank, addr, how } => {
            f.u8(role_code(*role)).u64(*rank as u64).bytes(addr.as_bytes()).bytes(how.as_bytes());
            LOST
        }
        Control::Leave => LEAVE,
        Control::End => END,
        Control::Join { job, rank } => {
            f.u64(*job).u64(*rank as u64);
            JOIN
        }
        Control::Admit => ADMIT,
    };
    Parcel { kind, head: f.0, width: 1, ..Parcel::default() }
}

/// The control message in a parcel.
///
/// # Errors
/// What was expected.
pub fn unpack(p: &Parcel) -> Result<Control, String> {
    let mut r = Reader(&p.head);
    let message = match p.kind {
        HELLO => {
            let role = read_role(r.u8()?)?;
            let rank = Some(r.u64()?).filter(|&n| n != u64::MAX).map(|n| n as usize);
            Control::Hello { role, rank, name: r.text()?, addr: r.text()? }
        }
        WELCOME => {
            let (rank, workers, job, n) = (r.u64()? as usize, r.u64()? as usize, r.u64()?, r.u32()?);
            let servers = (0..n).map(|_| r.text()).collect::<Result<_, _>>()?;
            Control::Welcome { rank, workers, job, servers }
        }
        REFUSE => Control::Refuse { reason: r.text()? },
        BEAT => Control::Beat { progress: r.u64()? },
        LOST => {
            let (role, rank) = (read_role(r.u8()?)?, r.u64()? as usize);
            Control::Lost { role, rank, addr: r.text()?, how: r.text()? }
        }
        LEAVE => Control::Leave,
        END => Control::End,
        JOIN => Control::Join { job: r.u64()?, rank: r.u64()? as usize },
        ADMIT => Control::Admit,
        other => return Err(format!("a control message, got kind {other}")),
    };
    r.end()?;
    Ok(message)
}
