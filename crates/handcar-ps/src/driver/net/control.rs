//! Control messages as parcels.

use super::parcel::{Fields, Parcel, Reader};
use crate::engine::control::Control;
use crate::engine::scheduler::{read_view, write_view};
use crate::engine::server::Report;
use crate::error::Role;
use std::sync::Arc;

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
const VIEW: u8 = 10;
const REMIND: u8 = 11;
const REPORT: u8 = 12;

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
        Control::Hello { role, rank, name, addr, job } => {
            f.u8(role_code(*role)).u64(rank.map_or(u64::MAX, |r| r as u64));
            f.u8(job.is_some() as u8).u64(job.unwrap_or(0));
            f.bytes(name.as_bytes()).bytes(addr.as_bytes());
            HELLO
        }
        Control::Welcome { rank, workers, job, patience_ms, view } => {
            f.u64(*rank as u64).u64(*workers as u64).u64(*job).u64(*patience_ms);
            write_view(view, &mut f.0);
            WELCOME
        }
        Control::View(view) => {
            write_view(view, &mut f.0);
            VIEW
        }
        Control::Remind { epoch } => {
            f.u64(*epoch);
            REMIND
        }
        Control::Report(Report::Filled { epoch }) => {
            f.u8(0).u64(*epoch);
            REPORT
        }
        Control::Report(Report::Drained { epoch }) => {
            f.u8(1).u64(*epoch);
            REPORT
        }
        Control::Report(Report::Silent { epoch, server }) => {
            f.u8(2).u64(*epoch).u64(*server as u64);
            REPORT
        }
        Control::Refuse { reason } => {
            f.bytes(reason.as_bytes());
            REFUSE
        }
        Control::Beat { progress, epoch } => {
            f.u64(*progress).u64(*epoch);
            BEAT
        }
        Control::Lost { role, rank, addr, how } => {
            f.u8(role_code(*role)).u64(*rank as u64).bytes(addr.as_bytes()).bytes(how.as_bytes());
            LOST
        }
        Control::Leave => LEAVE,
        Control::End => END,
        Control::Join { job, role, rank } => {
            f.u64(*job).u8(role_code(*role)).u64(*rank as u64);
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
            let (back, job) = (r.u8()?, r.u64()?);
            Control::Hello { role, rank, name: r.text()?, addr: r.text()?, job: (back == 1).then_some(job) }
        }
        WELCOME => {
            let (rank, workers, job, patience_ms) = (r.u64()? as usize, r.u64()? as usize, r.u64()?, r.u64()?);
            let view = Arc::new(read_view(std::mem::take(&mut r.0))?);
            Control::Welcome { rank, workers, job, patience_ms, view }
        }
        VIEW => Control::View(Arc::new(read_view(std::mem::take(&mut r.0))?)),
        REMIND => Control::Remind { epoch: r.u64()? },
        REPORT => match (r.u8()?, r.u64()?) {
            (0, epoch) => Control::Report(Report::Filled { epoch }),
            (1, epoch) => Control::Report(Report::Drained { epoch }),
            (2, epoch) => Control::Report(Report::Silent { epoch, server: r.u64()? as usize }),
            (other, _) => return Err(format!("a report 0, 1 or 2, got {other}")),
        },
        REFUSE => Control::Refuse { reason: r.text()? },
        BEAT => Control::Beat { progress: r.u64()?, epoch: r.u64()? },
        LOST => {
            let (role, rank) = (read_role(r.u8()?)?, r.u64()? as usize);
            Control::Lost { role, rank, addr: r.text()?, how: r.text()? }
        }
        LEAVE => Control::Leave,
        END => Control::End,
        JOIN => Control::Join { job: r.u64()?, role: read_role(r.u8()?)?, rank: r.u64()? as usize },
        ADMIT => Control::Admit,
        other => return Err(format!("a control message, got kind {other}")),
    };
    r.end()?;
    Ok(message)
}
