//! A job of several workers and servers in one process.

use handcar_data::Dataset;
use handcar_train::job::{self, FitOptions, Fitted, Silent, TrainInput};

/// What worker 0 of the job fitted.
pub fn fit(data: &Dataset, workers: usize, servers: usize, options: &FitOptions) -> Fitted {
    let cluster = handcar_ps::driver::local::cluster(workers, servers, &job::registry());
    std::thread::scope(|scope| {
        let running: Vec<_> = cluster
            .into_iter()
            .map(|mut worker| {
                scope.spawn(move || {
                    let (n, rank) = (data.rows(), worker.rank());
                    let rows = n * rank / workers..n * (rank + 1) / workers;
                    let input = TrainInput { rows, ..TrainInput::new(data) };
                    let fitted = job::fit(&mut worker, input, options, &mut Silent).unwrap();
                    worker.finish().unwrap();
                    fitted
                })
            })
            .collect();
        running.into_iter().map(|r| r.join().unwrap()).next().unwrap()
    })
}
