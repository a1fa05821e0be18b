//! Sequences that once broke a promise, shortened.

use super::plan::{Op, Setup};
use super::run::check;

const DAY_MS: i64 = 86_400_000;

fn remote(hosts: &[usize]) -> Setup {
    Setup { remote: true, hosts: hosts.to_vec(), outbox_rows: None }
}

fn local(processes: usize) -> Setup {
    Setup { remote: false, hosts: vec![0; processes], outbox_rows: None }
}

#[track_caller]
fn keeps(setup: &Setup, ops: &[Op]) {
    if let Err(violation) = check(setup, ops) {
        panic!("{violation}");
    }
}

#[test]
fn a_step_that_was_logged_before_its_episode_was_forgotten_does_not_come_back() {
    let ops = [
        Op::Start { on: 0 },
        Op::Flush { on: 0 },
        Op::Step { on: 1, episode: 0 },
        Op::Forget { on: 0, episode: 0 },
        Op::Flush { on: 0 },
        Op::Flush { on: 1 },
    ];
    keeps(&remote(&[0, 1]), &ops);
}

/// The step reaches the server while the tombstone waits elsewhere.
#[test]
fn a_step_that_arrives_before_the_tombstone_of_its_episode_goes_with_it() {
    let ops = [
        Op::Start { on: 0 },
        Op::Flush { on: 0 },
        Op::Step { on: 1, episode: 0 },
        Op::Forget { on: 0, episode: 0 },
        Op::Flush { on: 1 },
        Op::Flush { on: 0 },
    ];
    keeps(&remote(&[0, 1]), &ops);
}

#[test]
fn an_episode_that_was_completed_by_a_machine_that_was_cut_off_stays_forgotten() {
    let ops = [
        Op::Start { on: 0 },
        Op::Flush { on: 0 },
        Op::Pull { on: 1 },
        Op::Step { on: 1, episode: 0 },
        Op::Cut { on: 1 },
        Op::Forget { on: 0, episode: 0 },
        Op::Flush { on: 0 },
        Op::Complete { on: 1, episode: 0, success: true },
        Op::Connect { on: 1 },
    ];
    keeps(&remote(&[0, 1]), &ops);
}

#[test]
fn a_failed_episode_that_another_machine_forgets_unseen_leaves_no_reward() {
    let ops = [
        Op::Start { on: 1 },
        Op::Flush { on: 1 },
        Op::Complete { on: 1, episode: 0, success: false },
        Op::Forget { on: 0, episode: 0 },
        Op::Flush { on: 0 },
    ];
    keeps(&remote(&[0, 1]), &ops);
}

/// The feed was empty when this process read it last: its own commits do not move its position.
#[test]
fn a_restore_behind_the_last_pull_is_noticed_by_who_sent_what_it_lost() {
    let ops = [Op::BackUp, Op::Start { on: 1 }, Op::Flush { on: 1 }, Op::Restore];
    keeps(&remote(&[0, 1]), &ops);
}

/// As a command does that sends its rows while it closes.
#[test]
fn a_restore_between_two_short_processes_is_noticed() {
    let ops = [
        Op::Start { on: 0 },
        Op::Flush { on: 0 },
        Op::Pull { on: 0 },
        Op::BackUp,
        Op::Start { on: 0 },
        Op::Close { on: 0 },
        Op::Restore,
        Op::Open { on: 0 },
    ];
    keeps(&remote(&[0, 1]), &ops);
}

/// A killed process leaves no position in its cache file; its outbox has what the server lost.
#[test]
fn a_restore_is_noticed_by_a_process_that_was_killed_before() {
    let ops = [
        Op::BackUp,
        Op::Start { on: 0 },
        Op::Flush { on: 0 },
        Op::Pull { on: 0 },
        Op::Start { on: 0 },
        Op::Kill { on: 0 },
        Op::Restore,
        Op::Open { on: 0 },
    ];
    keeps(&remote(&[0, 1]), &ops);
}

/// Rows are stamped when they are acknowledged, and sent again if that was not too long ago.
#[test]
fn lost_rows_that_a_clock_behind_has_stamped_are_sent_again() {
    let ops = [
        Op::BackUp,
        Op::SetClock { on: 0, by_ms: -400 * DAY_MS },
        Op::Start { on: 0 },
        Op::Flush { on: 0 },
        Op::Pull { on: 0 },
        Op::Restore,
    ];
    keeps(&remote(&[0, 1]), &ops);
}

#[test]
fn lost_rows_are_sent_again_by_a_clock_that_was_set_since() {
    for by_ms in [400 * DAY_MS, -400 * DAY_MS] {
        let ops = [
            Op::BackUp,
            Op::Start { on: 0 },
            Op::Flush { on: 0 },
            Op::Pull { on: 0 },
            Op::SetClock { on: 0, by_ms },
            Op::Upkeep { on: 0 },
            Op::Restore,
        ];
        keeps(&remote(&[0, 1]), &ops);
    }
}

#[test]
fn a_restore_is_noticed_by_a_machine_that_was_cut_off_while_others_wrote_on() {
    let ops = [
        Op::BackUp,
        Op::Start { on: 0 },
        Op::Flush { on: 0 },
        Op::Pull { on: 0 },
        Op::Pull { on: 1 },
        Op::Cut { on: 0 },
        Op::Restore,
        Op::Start { on: 1 },
        Op::Start { on: 1 },
        Op::Start { on: 1 },
        Op::Flush { on: 1 },
        Op::Connect { on: 0 },
    ];
    keeps(&remote(&[0, 1]), &ops);
}

/// The process read an empty feed before, wrote, and did not read again for longer than tombstones are kept.
#[test]
fn a_tombstone_that_was_purged_before_it_was_read_leaves_no_ghost_in_the_index() {
    let ops = [
        Op::Start { on: 0 },
        Op::Forget { on: 1, episode: 0 },
        Op::Pass { ms: 8 * 86_400_000 },
        Op::Upkeep { on: 0 },
    ];
    keeps(&local(2), &ops);
}

#[test]
fn a_clock_that_is_wrong_by_years_deletes_nothing() {
    for setup in [remote(&[0, 1]), local(2)] {
        for by_ms in [400 * DAY_MS, -400 * DAY_MS, 20_000 * DAY_MS] {
            let ops = [
                Op::Start { on: 0 },
                Op::Complete { on: 0, episode: 0, success: true },
                Op::Flush { on: 0 },
                Op::SetClock { on: 1, by_ms },
                Op::Upkeep { on: 1 },
                Op::Start { on: 1 },
                Op::Learn { on: 1 },
                Op::Forget { on: 0, episode: 0 },
                Op::Upkeep { on: 1 },
                Op::Flush { on: 1 },
                Op::Upkeep { on: 0 },
            ];
            keeps(&setup, &ops);
        }
    }
}

/// Noting a recall writes the head of an episode that is open as far as this machine knows.
#[test]
fn what_is_noted_by_a_machine_that_was_cut_off_does_not_open_a_completed_episode_again() {
    let ops = [
        Op::Start { on: 0 },
        Op::Flush { on: 0 },
        Op::Step { on: 1, episode: 0 },
        Op::Cut { on: 1 },
        Op::Complete { on: 0, episode: 0, success: true },
        Op::Flush { on: 0 },
        Op::Note { on: 1, episode: 0 },
        Op::Connect { on: 1 },
    ];
    keeps(&remote(&[0, 1]), &ops);
}

/// The reward goes with the tombstone that knows of it; what another machine learned at that moment has only itself.
#[test]
fn what_is_learned_while_an_episode_is_forgotten_elsewhere_goes_with_the_next_sweep() {
    keeps(
        &remote(&[0, 1, 2]),
        &[
            Op::Start { on: 1 },
            Op::Close { on: 0 },
            Op::Complete { on: 2, episode: 0, success: false },
            Op::Open { on: 0 },
            Op::Flush { on: 2 },
            Op::Learn { on: 0 },
            Op::Forget { on: 2, episode: 0 },
        ],
    );
}

/// A later version of the first row that was sent arrives after the restore and hides that the row was lost; the other row
/// tells.
#[test]
fn a_restore_is_noticed_when_part_of_what_it_lost_was_sent_again() {
    let ops = [
        Op::Start { on: 0 },
        Op::BackUp,
        Op::Start { on: 0 },
        Op::Flush { on: 0 },
        Op::Complete { on: 0, episode: 0, success: true },
        Op::Restore,
    ];
    keeps(&remote(&[0, 1, 2]), &ops);
}

/// All that is missing is of an episode that was forgotten, but for what was learned from it.
#[test]
fn a_restore_that_lost_only_what_was_learned_is_noticed() {
    let ops = [
        Op::Start { on: 0 },
        Op::Close { on: 0 },
        Op::Forget { on: 2, episode: 0 },
        Op::Kill { on: 2 },
        Op::Complete { on: 1, episode: 0, success: false },
        Op::Learn { on: 1 },
        Op::BackUp,
        Op::Close { on: 1 },
        Op::Restore,
        Op::Open { on: 2 },
    ];
    keeps(&remote(&[0, 0, 1]), &ops);
}

/// What was sent is looked for until the outbox could take it up again.
#[test]
fn a_restore_that_is_noticed_on_a_full_disk_is_noticed_again() {
    let sent_by_this_process = [
        Op::BackUp,
        Op::Start { on: 0 },
        Op::Flush { on: 0 },
        Op::Restore,
        Op::FillDisk { on: 0, writes: 2 },
        Op::Pull { on: 0 },
    ];
    keeps(&remote(&[0, 1]), &sent_by_this_process);
    let left_by_a_killed_one = [
        Op::Start { on: 1 },
        Op::Kill { on: 1 },
        Op::BackUp,
        Op::Open { on: 1 },
        Op::Restore,
        Op::FillDisk { on: 1, writes: 2 },
        Op::Pull { on: 1 },
    ];
    keeps(&remote(&[0, 1, 2]), &left_by_a_killed_one);
}

/// The reward that one machine has yet to send is older than the one that the feed brought; forgetting reads it while the
/// server is away, and gives up.
#[test]
fn what_waits_and_is_outdated_is_not_read_for_long() {
    let ops = [
        Op::SetClock { on: 1, by_ms: 3_600_000 },
        Op::Start { on: 1 },
        Op::Flush { on: 1 },
        Op::Complete { on: 1, episode: 0, success: false },
        Op::Complete { on: 0, episode: 0, success: false },
        Op::Flush { on: 1 },
        Op::Pull { on: 0 },
        Op::Cut { on: 0 },
        Op::Forget { on: 0, episode: 0 },
    ];
    keeps(&remote(&[0, 1]), &ops);
}

/// The machine sleeps through the restore, and through the time for which it keeps what it sent; the process ends before it
/// has looked.
#[test]
fn a_restore_is_noticed_by_a_machine_that_slept_for_long() {
    let rows_are_sent_again = [
        Op::Start { on: 0 },
        Op::BackUp,
        Op::Flush { on: 0 },
        Op::Restore,
        Op::Pass { ms: 900_000 },
        Op::Close { on: 0 },
    ];
    keeps(&remote(&[0, 1]), &rows_are_sent_again);
    let the_server_was_seen_to_have_them_before = [
        Op::BackUp,
        Op::Start { on: 1 },
        Op::Flush { on: 1 },
        Op::Pull { on: 1 },
        Op::Restore,
        Op::Pass { ms: 900_000 },
        Op::Close { on: 1 },
    ];
    keeps(&remote(&[0, 0]), &the_server_was_seen_to_have_them_before);
    let no_ghosts_remain = [
        Op::BackUp,
        Op::Start { on: 0 },
        Op::Close { on: 1 },
        Op::Pass { ms: 8 * 86_400_000 },
        Op::Restore,
        Op::Close { on: 0 },
    ];
    keeps(&remote(&[0, 0]), &no_ghosts_remain);
}

/// A process that knew nothing of the forgetting leaves a version that waits; the next one reads it beside an index image.
#[test]
fn what_waits_of_a_forgotten_episode_is_not_recalled_by_the_next_process() {
    let ops = [
        Op::Start { on: 1 },
        Op::Flush { on: 1 },
        Op::Forget { on: 1, episode: 0 },
        Op::Step { on: 0, episode: 0 },
        Op::Flush { on: 1 },
        Op::Complete { on: 0, episode: 0, success: true },
        Op::Pull { on: 0 },
        Op::Cut { on: 0 },
        Op::Close { on: 0 },
    ];
    keeps(&remote(&[0, 0]), &ops);
}

/// The rows are sent before the process has read the change feed, and its clock says that it was long ago.
#[test]
fn lost_rows_that_a_clock_behind_has_sent_at_once_are_sent_again() {
    let ops = [
        Op::Start { on: 0 },
        Op::SetClock { on: 0, by_ms: -40 * DAY_MS },
        Op::Cut { on: 0 },
        Op::Start { on: 0 },
        Op::KillWriting { on: 0, episode: 1 },
        Op::BackUp,
        Op::Open { on: 0 },
        Op::Connect { on: 0 },
        Op::Flush { on: 0 },
        Op::Restore,
    ];
    keeps(&remote(&[0, 1]), &ops);
}

/// The process looked by a clock that was ahead, and sent by the server's.
#[test]
fn a_restore_is_noticed_after_a_process_with_a_clock_ahead() {
    let ops = [
        Op::Start { on: 2 },
        Op::BackUp,
        Op::Pass { ms: 8 * 86_400_000 },
        Op::Pull { on: 2 },
        Op::Close { on: 2 },
        Op::Restore,
    ];
    keeps(&remote(&[0, 1, 2]), &ops);
}

/// By the clock of the process that looks, the tombstone would be old enough to be purged; but it is kept for ever.
#[test]
fn a_restore_that_lost_a_tombstone_is_noticed_by_a_clock_ahead() {
    let ops = [
        Op::Start { on: 1 },
        Op::Kill { on: 1 },
        Op::Open { on: 1 },
        Op::Forget { on: 0, episode: 0 },
        Op::BackUp,
        Op::Close { on: 0 },
        Op::SetClock { on: 0, by_ms: 40 * DAY_MS },
        Op::Restore,
    ];
    keeps(&remote(&[0, 1]), &ops);
}
