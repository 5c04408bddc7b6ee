//! Claims about peers that do not read, do not close, or do not say who they are.

use super::*;
use std::io::Read;

fn nothing(_: u8, _: u64, dtype: Dtype) -> Values {
    Values::empty(dtype)
}

fn bulk() -> Parcel {
    Parcel { kind: 100, values: Some(vec![1.0f32; 1 << 20].into()), width: 1, ..Parcel::default() }
}

/// A client and the number of its connection.
fn client(hub: &mut Hub) -> (std::net::TcpStream, u64) {
    let client = std::net::TcpStream::connect(hub.listener.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let known = hub.next;
    while hub.next == known {
        hub.wait(Duration::from_secs(60), &mut Vec::new(), &mut nothing).unwrap();
    }
    hub.admit(known, "it".into());
    (client, known)
}

#[test]
fn a_peer_that_stops_reading_is_cut_off_and_the_others_are_served() {
    let (mut hub, _) = Hub::new(std::net::TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
    hub.queued_bytes_max = 64 << 20;
    let (_deaf, deaf) = client(&mut hub);
    let (mut well, fine) = client(&mut hub);
    let mut events = Vec::new();
    // Each parcel is 4 MiB; what the system's own buffers take may come on top.
    let cut = (1..1000).find(|_| {
        hub.send(deaf, bulk());
        hub.wait(Duration::ZERO, &mut events, &mut nothing).unwrap();
        !events.is_empty()
    });
    assert!(cut.is_some_and(|n| n >= 16), "{cut:?}");
    let [Event::Gone { conn, how }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((*conn, how.as_str()), (deaf, "expected it to read, but it left more than 67108864 bytes unread"));
    hub.send(deaf, bulk());
    assert!(!hub.conns.contains_key(&deaf), "what is sent to it afterwards goes nowhere");
    hub.send(fine, bulk());
    let reader = std::thread::spawn(move || {
        let mut got = vec![0; 4 << 20];
        well.read_exact(&mut got).map(|()| got.len())
    });
    while !reader.is_finished() {
        hub.wait(Duration::from_millis(20), &mut events, &mut nothing).unwrap();
    }
    assert_eq!(reader.join().unwrap().unwrap(), 4 << 20);
}

#[test]
fn a_parcel_above_the_bound_does_not_cut_off_who_reads_it() {
    let (mut hub, _) = Hub::new(std::net::TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
    // Each parcel alone is four times the bound.
    hub.queued_bytes_max = 1 << 20;
    let (mut reading, peer) = client(&mut hub);
    let reader = std::thread::spawn(move || {
        let mut got = vec![0; 12 << 20];
        reading.read_exact(&mut got).map(|()| reading)
    });
    let mut events = Vec::new();
    for _ in 0..3 {
        hub.send(peer, bulk());
        // The acknowledgement of something else comes while the parcel is under way.
        hub.send(peer, Parcel { kind: 48, width: 1, ..Parcel::default() });
        while hub.queued_bytes(peer) > Some(0) {
            hub.wait(Duration::from_secs(60), &mut events, &mut nothing).unwrap();
            assert!(events.is_empty(), "{events:?}");
        }
    }
    reader.join().unwrap().unwrap();
}

#[test]
fn a_peer_that_does_not_close_is_closed_and_what_it_says_is_not_heard() {
    let (mut hub, _) = Hub::new(std::net::TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
    hub.closing_max = Duration::from_millis(50);
    let (mut stubborn, conn) = client(&mut hub);
    hub.send(conn, control::pack(&Control::Refuse { reason: "no".into() }));
    hub.close(conn);
    assert!(hub.closing(conn));
    let mut more = Outbox::default();
    more.push(control::pack(&Control::Leave));
    assert!(more.flush(&mut stubborn, &mut Vec::new()).unwrap());
    let (mut events, start) = (Vec::new(), Instant::now());
    while events.is_empty() {
        assert!(start.elapsed() < Duration::from_secs(30), "still open");
        hub.wait(Duration::from_millis(20), &mut events, &mut nothing).unwrap();
    }
    let [Event::Gone { conn: gone, how }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((*gone, how.as_str()), (conn, "it did not close in time"));
    // The last word was not lost.
    let mut said = Vec::new();
    stubborn.read_to_end(&mut said).unwrap();
    assert!(String::from_utf8_lossy(&said).contains("no"));
}
