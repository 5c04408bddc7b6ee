//! Question: what does a thread hop on either side of a socket cost a one-key call?
//! Data: a 64-byte question and answer over TCP loopback between two processes, as a one-key pull sends.
//! Ways: the thread that calls, or that owns the tables, does the socket work itself - or hands over to one that does.
//!
//! `cargo run --release -p handcar-ps --example socket_way` prints medians of 11 interleaved rounds.

use mio::{Events, Interest, Poll, Token};
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;
type Message = [u8; 64];

const CALLS: usize = 2000;
const ROUNDS: usize = 11;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some("blocking") => answer_blocking(TcpStream::connect(&args[2])?),
        Some("epoll") => answer_epoll(TcpStream::connect(&args[2])?),
        Some("handed") => answer_handed(TcpStream::connect(&args[2])?),
        _ => measure(),
    }
}

/// A server whose only thread blocks in read: the floor, good for one connection.
fn answer_blocking(mut s: TcpStream) -> Result<()> {
    s.set_nodelay(true)?;
    let mut m: Message = [0; 64];
    while s.read_exact(&mut m).is_ok() {
        s.write_all(&m)?;
    }
    Ok(())
}

/// A server whose only thread waits for all sockets and owns the tables.
fn answer_epoll(s: TcpStream) -> Result<()> {
    s.set_nodelay(true)?;
    s.set_nonblocking(true)?;
    let mut s = mio::net::TcpStream::from_std(s);
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(8));
    poll.registry().register(&mut s, Token(0), Interest::READABLE)?;
    let mut m: Message = [0; 64];
    loop {
        poll.poll(&mut events, None)?;
        match s.read(&mut m) {
            Ok(64) => drop(s.write(&m)?),
            Ok(0) => return Ok(()),
            Ok(_) => return Err("a message in pieces".into()),
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// A server whose socket thread hands each question to the thread that owns the tables, which answers by itself.
fn answer_handed(mut s: TcpStream) -> Result<()> {
    s.set_nodelay(true)?;
    let mut out = s.try_clone()?;
    let (to, from) = channel::<Message>();
    let owner = std::thread::spawn(move || -> Result<()> {
        for m in from {
            out.write_all(&m)?;
        }
        Ok(())
    });
    let mut m: Message = [0; 64];
    while s.read_exact(&mut m).is_ok() {
        to.send(m)?;
    }
    drop(to);
    owner.join().map_err(|_| "the owner panicked")?
}

struct Way {
    name: &'static str,
    call: Box<dyn FnMut() -> Result<()>>,
    times: Vec<f64>,
}

/// A caller that writes and reads by itself.
fn own_thread(mut s: TcpStream) -> Box<dyn FnMut() -> Result<()>> {
    let mut m: Message = [1; 64];
    Box::new(move || {
        s.write_all(&m)?;
        Ok(s.read_exact(&mut m)?)
    })
}

/// A caller that writes by itself while another thread reads and hands the answers over.
fn reader_thread(s: TcpStream) -> Result<Box<dyn FnMut() -> Result<()>>> {
    let (mut reader, mut writer) = (s.try_clone()?, s);
    let (to, from) = channel::<Message>();
    std::thread::spawn(move || {
        let mut m: Message = [0; 64];
        while reader.read_exact(&mut m).is_ok() && to.send(m).is_ok() {}
    });
    Ok(Box::new(move || {
        writer.write_all(&[1; 64])?;
        from.recv()?;
        Ok(())
    }))
}

/// A caller that hands questions to a thread that does all socket work, as a runtime's would.
fn io_thread(mut s: TcpStream) -> Box<dyn FnMut() -> Result<()>> {
    let (to, questions): (Sender<Message>, Receiver<Message>) = channel();
    let (answers, from) = channel::<Message>();
    std::thread::spawn(move || {
        for mut m in questions {
            if s.write_all(&m).is_err() || s.read_exact(&mut m).is_err() || answers.send(m).is_err() {
                return;
            }
        }
    });
    Box::new(move || {
        to.send([1; 64])?;
        from.recv()?;
        Ok(())
    })
}

fn measure() -> Result<()> {
    let mut children = Vec::new();
    let mut connect = |server: &str| -> Result<TcpStream> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let addr = listener.local_addr()?.to_string();
        children.push(Command::new(std::env::current_exe()?).args([server, &addr]).spawn()?);
        let (s, _) = listener.accept()?;
        s.set_nodelay(true)?;
        Ok(s)
    };
    let way = |name, call| Way { name, call, times: Vec::new() };
    let mut ways = vec![
        way("caller's thread <-> blocking server (raw ping-pong)", own_thread(connect("blocking")?)),
        way("caller's thread <-> epoll server that owns the tables", own_thread(connect("epoll")?)),
        way("caller's thread <-> server with a hop to the owner", own_thread(connect("handed")?)),
        way("reader thread   <-> epoll server", reader_thread(connect("epoll")?)?),
        way("I/O thread      <-> epoll server", io_thread(connect("epoll")?)),
        way("I/O thread      <-> server with a hop to the owner", io_thread(connect("handed")?)),
    ];
    for _ in 0..ROUNDS {
        for way in &mut ways {
            let start = Instant::now();
            for _ in 0..CALLS {
                (way.call)()?;
            }
            way.times.push(start.elapsed().as_secs_f64() / CALLS as f64);
        }
    }
    let mut raw = None;
    for way in &mut ways {
        way.times.sort_by(f64::total_cmp);
        let time = way.times[ROUNDS / 2];
        let raw = *raw.get_or_insert(time);
        println!("{:<55} {:6.1} us  {:4.2} x", way.name, time * 1e6, time / raw);
    }
    // A reader thread still holds its socket open, so the other ends would wait for ever.
    for mut child in children {
        child.kill()?;
        child.wait()?;
    }
    Ok(())
}
