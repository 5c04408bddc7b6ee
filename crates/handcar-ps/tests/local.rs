//! The claims of `common`, over the local driver.

mod common;

use common::{Cluster, each, registry};
use handcar_ps::driver::local::{LocalConfig, cluster_with};
use handcar_ps::{Error, Role};

fn start(workers: usize, servers: usize, deadline_ms: u64) -> Cluster {
    let config = LocalConfig { deadline_ms, ..LocalConfig::new(workers, servers) };
    Cluster { workers: cluster_with(&config, &registry()), ended: Box::new(|| ()) }
}

macro_rules! claims {
    ($($claim:ident)*) => { $(#[test] fn $claim() { common::$claim(start) })* };
}

macro_rules! filter_claims {
    ($($claim:ident)*) => { $(#[test] fn $claim() { common::filters::$claim(start) })* };
}

macro_rules! checkpoint_claims {
    ($($claim:ident)*) => { $(#[test] fn $claim() { common::checkpoints::$claim(start) })* };
}

checkpoint_claims! {
    a_checkpoint_comes_back_on_any_number_of_servers
    a_damaged_checkpoint_is_refused_whole_and_changes_nothing
    a_full_disk_ends_the_checkpoint_and_not_the_job
    a_failure_that_nobody_took_ends_one_checkpoint_for_all
    a_table_that_does_not_fit_is_told_with_expected_and_got
}

filter_claims! {
    exact_filters_change_no_bit
    lossy_filters_do_the_same_twice_and_rows_not_sent_are_not_pushed
    a_flush_sends_what_filters_held_back
    an_unfiltered_push_arrives_as_it_is
    what_a_filter_cannot_carry_passes_by_it
    unknown_filters_are_refused_with_those_known
    a_filter_of_ones_own_works
}

claims! {
    pull_after_wait_sees_own_push
    portions_are_shared_and_each_counts_once
    a_slow_workers_portion_is_done_by_another_and_counts_once
    a_key_nobody_pushed_reads_as_freshly_made
    aggregated_push_waits_for_every_worker
    immediate_pushes_wait_for_nobody
    calls_run_once_a_server_and_reply_alike_to_all
    reductions_join_all_workers
    equal_bits_for_any_number_of_workers_and_servers
    misuse_is_told_with_expected_and_got
    a_bounded_wait_leaves_the_task_under_way
    a_worker_that_does_not_come_is_named_at_the_deadline
}

#[test]
fn a_dropped_worker_ends_the_others() {
    let mut workers = start(2, 1, common::PATIENT_MS).workers;
    let gone = workers.pop();
    let mut stays = workers.pop().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || stays.barrier());
        drop(gone);
        let error = waiting.join().unwrap().unwrap_err();
        assert!(matches!(error, Error::NodeLost { role: Role::Worker, rank: 1, .. }), "{error}");
    });
}

#[test]
fn buffers_go_round_without_being_copied() {
    let results = each(start(1, 1, common::PATIENT_MS), |w| {
        let t = w.create_table("w", "sum.f32", &[]).unwrap();
        let k = common::keys(&[1, 2, 3]);
        let push = vec![1.0f32, 2.0, 3.0];
        let pull = Vec::<f32>::with_capacity(3);
        let (a, b) = (push.as_ptr() as usize, pull.as_ptr() as usize);
        let out = w.push_pull(t, &k, push).into_buffer(pull).wait().unwrap();
        let (spent, pulled) = (out.spent.unwrap(), out.pulled.unwrap());
        let at = |v: &handcar_ps::Values| v.as_slice::<f32>().unwrap().as_ptr() as usize;
        (a, at(&spent), b, at(&pulled))
    });
    let (a, spent, b, pulled) = results[0];
    assert_eq!((a, b), (spent, pulled));
}
