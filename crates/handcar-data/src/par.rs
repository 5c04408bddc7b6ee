//! A map over items by a few threads; results in the order of the items, so they do not depend on the threads.

use std::sync::Mutex;

/// Applies `work` to every item on at most `threads` threads, the caller's own among them.
pub(crate) fn map<T: Send, R: Send>(threads: usize, items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let threads = threads.min(items.len());
    if threads <= 1 {
        return items.into_iter().map(work).collect();
    }
    let mut results: Vec<Option<R>> = items.iter().map(|_| None).collect();
    {
        let queue = Mutex::new(items.into_iter().zip(&mut results));
        let run = || {
            loop {
                let next = queue.lock().unwrap_or_else(|e| e.into_inner()).next();
                let Some((item, result)) = next else { return };
                *result = Some(work(item));
            }
        };
        std::thread::scope(|s| {
            for _ in 1..threads {
                s.spawn(run);
            }
            run();
        });
    }
    // A panic of a worker has been passed on by the scope, so every slot is filled.
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn results_keep_the_order_of_the_items() {
        for threads in [1, 2, 5] {
            assert_eq!(
                super::map(threads, (0..100).collect(), |x: i32| x * 2),
                (0..100).map(|x| x * 2).collect::<Vec<_>>()
            );
        }
    }
}
