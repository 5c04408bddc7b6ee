//! A job of several workers and servers in one process.
#![allow(dead_code, reason = "each test file uses its part")]

use handcar_data::Dataset;
use handcar_ps::Worker;
use handcar_train::job::{self, FitOptions, Fitted, Silent, TrainInput};

/// What worker 0 of the job fitted.
pub fn fit(data: &Dataset, workers: usize, servers: usize, options: &FitOptions) -> Fitted {
    run(data, workers, servers, |worker, input| job::fit(worker, input, options, &mut Silent).unwrap())
}

/// What worker 0 of a job came to.
pub fn run<T: Send>(
    data: &Dataset,
    workers: usize,
    servers: usize,
    work: impl Fn(&mut Worker, TrainInput<'_>) -> T + Sync,
) -> T {
    let (cluster, work) = (handcar_ps::driver::local::cluster(workers, servers, &job::registry()), &work);
    std::thread::scope(|scope| {
        let running: Vec<_> = cluster
            .into_iter()
            .map(|mut worker| {
                scope.spawn(move || {
                    let (n, rank) = (data.rows(), worker.rank());
                    let rows = n * rank / workers..n * (rank + 1) / workers;
                    let input = TrainInput { rows, ..TrainInput::new(data) };
                    let found = work(&mut worker, input);
                    worker.finish().unwrap();
                    found
                })
            })
            .collect();
        running.into_iter().map(|r| r.join().unwrap()).next().unwrap()
    })
}
