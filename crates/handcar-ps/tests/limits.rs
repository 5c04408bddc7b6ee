//! Messages that are too large for the wire: refused with expected and got, and the job goes on.

use handcar_base::Key;
use handcar_ps::driver::net::{NodeConfig, SchedulerConfig, connect_worker, listen, run_scheduler, run_server};
use handcar_ps::{Error, Registry, Store, Updater};

/// Its function answers with as many MiB as it was given bytes.
struct Talker;

impl Updater for Talker {
    type Entry = f32;
    type Push = f32;
    type Pull = f32;

    fn init(&self, _: Key) -> f32 {
        0.0
    }

    fn apply(&mut self, _: Key, _: &mut f32, _: &[f32]) {}

    fn read(&self, _: Key, _: &f32, _: &mut [f32]) {}

    fn call(&mut self, _: &mut Store<f32>, args: &[u8]) -> Result<Vec<u8>, String> {
        Ok(vec![0; args.len() << 20])
    }
}

#[test]
fn a_message_that_is_too_long_is_refused_and_the_job_goes_on() {
    let mut registry = Registry::new();
    registry.register("talker", |_| Ok(Talker));
    let (first, second) = (listen("127.0.0.1:0", false).unwrap(), listen("127.0.0.1:0", false).unwrap());
    let scheduler = first.local_addr().unwrap().to_string();
    let joined = scheduler.clone();
    let threads = [
        std::thread::spawn(move || run_scheduler(first, &SchedulerConfig::new(1, 1))),
        std::thread::spawn(move || run_server(second, &joined, &registry, &NodeConfig::default())),
    ];
    let mut worker = connect_worker(&scheduler, &NodeConfig::default()).unwrap();
    let table = worker.create_table("t", "talker", &[]).unwrap();
    let error = worker.call(table, &vec![0; 256 << 20]).unwrap_err();
    assert!(matches!(&error, Error::Argument { op: "call", .. }), "{error}");
    let told = "call: expected at most 267386880 bytes of arguments, parameters or entries, got 268435456";
    assert_eq!(error.to_string(), told);
    let error = worker.call(table, &[0; 256]).unwrap_err();
    assert!(matches!(&error, Error::Refused { op: "call", .. }), "{error}");
    let told = "expected an answer of at most 268435456 bytes of arguments, entries or coded values in a message, got ";
    assert!(error.to_string().contains(told), "{error}");
    assert_eq!(worker.call(table, &[0]).unwrap(), [vec![0; 1 << 20]]);
    worker.finish().unwrap();
    threads.into_iter().for_each(|t| t.join().unwrap().unwrap());
}
