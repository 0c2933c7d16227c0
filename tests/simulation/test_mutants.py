"""Every checker can fail: a core that is broken in one place is caught, under the right name.

| invariant | mutants |
|---|---|
| I1 | `one_stream_for_all` (two runs), `seq_off_by_one_on_the_wire`, `clones_unheard` |
| I2 | `sign_lost_on_the_wire`, `totals_of_the_event_alone`, `some_in_a_row_count_once` |
| I3 | `one_more_claimed`, `groups_claim_what_they_leave_out`, `groups_claim_whatever_was_held` |
| I3 | `passes_claim_the_largest_version` |
| I1 | `keys_of_another_event_on_the_wire` |
| I3 | `keys_of_others_unheard`, `groups_without_keys`, `pages_without_keys` |
| I3 | `pages_without_the_archive`, `keys_are_not_loaded` |
| I4 | `keys_are_not_stored` |
| I6 | `doubles_taken_off_too_often`, `the_last_put_wins` |
| I7 | `doubles_count`, `twins_are_not_compared`, `twins_on_disks_are_not_compared` |
| I7 | `what_is_folded_counts_again` |
| I9 | `folding_leaves_the_fingerprint`, `folding_forgets_its_losers` |
| Q1 | `corrections_are_not_told` |
| Q3 | `doubles_are_folded_at_once`, `corrections_are_not_loaded` |
| I9 | `keys_outside_the_fingerprint`, `doubles_outside_the_fingerprint` |
| I10 | `keys_stay_in_memory` |
| I4 | `own_increments_stored_lazily`, `exposed_before_the_commit`, `held_before_it_is_stored` |
| I4 | `held_counts_as_durable`, `holds_answered_by_any_part`, `versions_in_the_first_part` |
| I4 | `versions_as_of_the_end`, `versions_are_not_loaded`, `copies_in_memory_count` |
| I4 | `who_was_asked_counts` |
| I5 | `the_last_register_wins`, `the_last_view_wins`, `registers_count_again` |
| I6 | `the_last_register_wins`, `the_last_claim_wins`, `status_first`, `the_failed_go_at_once` |
| I6 | `verdicts_go_at_half_their_life` |
| I7 | `only_the_first_event_counts`, `some_in_a_row_are_told_as_one_event` |
| I8 | `events_count_twice` |
| I9 | `sums_that_only_grow`, `deep_sums_shifted`, and `hashes_without_` totals or status |
| I10 | `datagrams_without_budget`, `numbers_without_end`, `a_tail_without_end` |
| I11 | `other_variant_of_uuid`, `streams_of_any_kind` |
| I12 | `accusers_raise_the_incarnation`, `deaf_to_acks` |
| Q1 | `no_repair`, `nobody_refutes`, `nobody_contacts_the_failed`, `equal_versions_end_it` |
| Q1 | `the_first_put_of_a_seq_wins`, `keys_above_versions_go_with_the_window` |
| Q2 | `own_increments_stored_lazily`, `held_before_it_is_stored`, `held_without_holding` |
| Q2 | `who_was_asked_counts` |
| Q3 | `everything_counts_as_held`, `held_without_holding` |
| Q3 | `twins_are_not_compared`, `keys_of_others_unheard` |
| Q4 | `keys_unknown`, `the_largest_twin_wins`, `the_horizon_stays`, `the_horizon_is_not_loaded` |
| Q4 | `keys_of_any_age`, `the_disk_is_not_asked`, `holds_without_keys` |
| Q4 | `horizons_of_any_clock`, `keys_ahead_go_in_time`, `clocks_set_back_do_not_matter` |
| I3 | `disks_go_by_the_wall_clock` |
| Q5 | `any_later_event_counts`, `any_later_event_includes`, `reads_end_with_their_time_only` |
| I1 | `streams_outlive_failed_commits` (two runs) |
| I1, I4 | `failed_commits_are_exposed` (three runs) |
| I4 | `failed_commits_stay_on_the_disk` (two runs), `hung_batches_are_given_up` |
| Q3 | `failed_commits_are_denied` |
| Q6 | `told_once_only`, `news_leaves_when_it_was_sent_once`, `repair_at_leisure` |
| Q7 | `told_for_ever`, `news_never_leaves`, `a_salt_in_every_fingerprint` |
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.effort import later

from .mutants import (
    commit_cores,
    commit_runs,
    cores,
    key_cores,
    key_runs,
    runs,
)

MUTANTS: list[tuple[str, cores.Break, Callable[[], None]]] = [
    ("I1", cores.one_stream_for_all, runs.busy),
    ("I1", cores.one_stream_for_all, runs.restarting),
    ("I1", cores.seq_off_by_one_on_the_wire, runs.busy),
    ("I1", cores.clones_unheard, runs.cloned),
    ("I2", cores.sign_lost_on_the_wire, runs.busy),
    ("I2", cores.totals_of_the_event_alone, runs.busy),
    ("I2", cores.some_in_a_row_count_once, runs.in_a_row),
    ("I3", cores.one_more_claimed, runs.busy),
    ("I3", cores.groups_claim_what_they_leave_out, runs.burst),
    ("I3", cores.groups_claim_whatever_was_held, runs.burst),
    ("I3", cores.passes_claim_the_largest_version, runs.pulling),
    ("I4", cores.own_increments_stored_lazily, runs.storing),
    ("I4", cores.exposed_before_the_commit, runs.storing),
    ("I4", cores.held_before_it_is_stored, runs.departing_to_disks),
    ("I4", cores.held_counts_as_durable, runs.storing),
    ("I4", cores.holds_answered_by_any_part, runs.departing_with_a_part),
    ("I4", cores.versions_in_the_first_part, runs.storing),
    ("I4", cores.versions_as_of_the_end, runs.storing),
    ("I4", cores.versions_are_not_loaded, runs.storing),
    ("I4", cores.copies_in_memory_count, runs.copying),
    ("I4", cores.who_was_asked_counts, runs.copying),
    ("I5", cores.the_last_register_wins, runs.parted),
    ("I5", cores.the_last_view_wins, runs.parted),
    ("I5", cores.registers_count_again, runs.replayed),
    ("I6", cores.the_last_register_wins, runs.echoed),
    ("I6", cores.the_last_claim_wins, runs.echoed),
    ("I6", cores.status_first, runs.cut_off),
    ("I6", cores.the_failed_go_at_once, runs.ageing),
    ("I6", cores.verdicts_go_at_half_their_life, runs.ageing),
    ("I7", cores.only_the_first_event_counts, runs.busy),
    ("I7", cores.some_in_a_row_are_told_as_one_event, runs.in_a_row),
    ("I8", cores.events_count_twice, runs.busy),
    ("I9", cores.sums_that_only_grow, runs.busy),
    ("I9", cores.deep_sums_shifted, runs.busy),
    ("I9", cores.hashes_without_totals, runs.busy),
    ("I9", cores.hashes_without_status, runs.cut_off),
    ("I10", cores.datagrams_without_budget, runs.burst),
    ("I10", cores.numbers_without_end, runs.burst),
    ("I10", cores.a_tail_without_end, runs.burst),
    ("I11", cores.other_variant_of_uuid, runs.busy),
    ("I11", cores.streams_of_any_kind, runs.busy),
    ("I12", cores.accusers_raise_the_incarnation, runs.cut_off),
    ("I12", cores.deaf_to_acks, runs.calm),
    ("Q1", cores.no_repair, runs.busy),
    ("Q1", cores.nobody_refutes, runs.cut_off),
    ("Q1", cores.nobody_contacts_the_failed, runs.split_without_seeds),
    ("Q1", cores.equal_versions_end_it, runs.partly_held),
    ("Q2", cores.own_increments_stored_lazily, runs.crashing),
    ("Q2", cores.held_before_it_is_stored, runs.departing_before_a_crash),
    ("Q2", cores.own_increments_stored_lazily, runs.crashing_for_certain),
    ("Q2", cores.held_before_it_is_stored, runs.departing_for_certain),
    ("Q2", cores.held_without_holding, runs.departing_before_a_crash),
    ("Q2", cores.who_was_asked_counts, runs.destroyed_after_copies),
    ("Q3", cores.everything_counts_as_held, runs.departing),
    ("Q3", cores.held_without_holding, runs.departing),
    ("Q5", cores.any_later_event_counts, runs.busy),
    ("Q6", cores.told_once_only, runs.spreading),
    ("Q6", cores.news_leaves_when_it_was_sent_once, runs.spreading),
    ("Q6", cores.repair_at_leisure, runs.mending),
    ("Q7", cores.told_for_ever, runs.resting),
    ("Q7", cores.news_never_leaves, runs.resting),
    ("Q7", cores.a_salt_in_every_fingerprint, runs.resting),
    ("I1", key_cores.keys_of_another_event_on_the_wire, key_runs.retrying),
    ("I3", key_cores.keys_of_others_unheard, key_runs.retrying),
    ("I3", key_cores.groups_without_keys, key_runs.retrying),
    ("I3", key_cores.pages_without_keys, key_runs.catching_up),
    ("I3", key_cores.pages_without_the_archive, key_runs.reading_archives),
    ("I3", key_cores.keys_are_not_loaded, key_runs.restarting_with_keys),
    ("I4", key_cores.keys_are_not_stored, key_runs.reading_archives),
    ("I6", key_cores.doubles_taken_off_too_often, key_runs.retrying_on_both_sides),
    ("I6", key_cores.the_last_put_wins, key_runs.owning),
    ("I7", key_cores.doubles_count, key_runs.retrying_on_both_sides),
    ("I7", key_cores.twins_are_not_compared, key_runs.retrying_on_both_sides),
    ("I7", key_cores.twins_on_disks_are_not_compared, key_runs.apart_beyond_the_window),
    ("I9", key_cores.keys_outside_the_fingerprint, key_runs.retrying),
    ("I9", key_cores.doubles_outside_the_fingerprint, key_runs.retrying_on_both_sides),
    ("I10", key_cores.keys_stay_in_memory, key_runs.archiving),
    ("I7", key_cores.what_is_folded_counts_again, key_runs.folding),
    ("I9", key_cores.folding_leaves_the_fingerprint, key_runs.folding),
    ("I9", key_cores.folding_forgets_its_losers, key_runs.folding),
    ("Q3", key_cores.doubles_are_folded_at_once, key_runs.folding),
    ("Q1", key_cores.corrections_are_not_told, key_runs.folding),
    ("Q3", key_cores.corrections_are_not_loaded, key_runs.folding),
    ("Q1", key_cores.the_first_put_of_a_seq_wins, key_runs.owning),
    ("Q3", key_cores.twins_are_not_compared, key_runs.counted_once),
    ("Q3", key_cores.keys_of_others_unheard, key_runs.counted_once),
    ("Q4", key_cores.keys_unknown, key_runs.asked_again),
    ("Q4", key_cores.the_largest_twin_wins, key_runs.retrying_on_both_sides),
    ("Q4", key_cores.the_horizon_stays, key_runs.archiving),
    ("Q4", key_cores.the_horizon_is_not_loaded, key_runs.restarting_with_keys),
    ("Q4", key_cores.keys_of_any_age, key_runs.forgetting),
    ("Q4", key_cores.the_disk_is_not_asked, key_runs.restarting_with_keys),
    ("Q4", key_cores.holds_without_keys, key_runs.departing_with_a_key),
    ("Q4", key_cores.horizons_of_any_clock, key_runs.ahead),
    ("Q4", key_cores.keys_ahead_go_in_time, key_runs.ahead_and_again),
    ("Q4", key_cores.clocks_set_back_do_not_matter, key_runs.set_back),
    ("I3", key_cores.disks_go_by_the_wall_clock, key_runs.stepping_with_disks),
    ("Q1", key_cores.keys_above_versions_go_with_the_window, key_runs.without_a_beginning),
    ("I1", commit_cores.streams_outlive_failed_commits, commit_runs.failing),
    ("I4", commit_cores.hung_batches_are_given_up, commit_runs.hanging),
    ("I1", commit_cores.failed_commits_are_exposed, commit_runs.full),
    ("I4", commit_cores.failed_commits_are_exposed, commit_runs.failing),
    ("I4", commit_cores.failed_commits_stay_on_the_disk, commit_runs.failing),
    ("I1", commit_cores.streams_outlive_failed_commits, commit_runs.copied),
    ("I4", commit_cores.failed_commits_are_exposed, commit_runs.copied),
    ("I4", commit_cores.failed_commits_stay_on_the_disk, commit_runs.copied),
    ("Q3", commit_cores.failed_commits_are_denied, commit_runs.failing),
    ("Q5", commit_cores.any_later_event_includes, commit_runs.reading),
    ("Q5", commit_cores.reads_end_with_their_time_only, commit_runs.cut_reading),
]

RUNS = list(dict.fromkeys(run for _, _, run in MUTANTS))

LONG: set[cores.Break] = {
    *(cores.news_never_leaves, cores.told_for_ever, cores.any_later_event_counts),
    *(cores.no_repair, cores.nobody_refutes, cores.versions_are_not_loaded),
    *(key_cores.corrections_are_not_told, key_cores.corrections_are_not_loaded),
    *(key_cores.doubles_are_folded_at_once, key_cores.folding_leaves_the_fingerprint),
    *(key_cores.folding_forgets_its_losers, key_cores.what_is_folded_counts_again),
    *(key_cores.pages_without_the_archive, key_cores.the_largest_twin_wins),
}
"""Those that take half a second or more, while others of their invariant show its checker: they
wait for a thorough run."""


@later
@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.__name__)
def test_a_sound_core_passes_every_run(run: Callable[[], None]) -> None:
    run()


@pytest.mark.parametrize(
    ("invariant", "mutate", "run"),
    [
        pytest.param(
            invariant,
            mutate,
            run,
            id=f"{invariant}-{mutate.__name__}-{run.__name__}",
            marks=[later] if mutate in LONG else [],
        )
        for invariant, mutate, run in MUTANTS
    ],
)
def test_a_broken_core_is_caught_by_the_name_of_what_it_breaks(
    invariant: str,
    mutate: cores.Break,
    run: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mutate(monkeypatch)
    with pytest.raises(AssertionError, match=f"^{invariant}: "):
        run()
