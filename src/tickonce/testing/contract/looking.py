"""What is due here, and when to look again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tickonce.editing import Pause
from tickonce.model import ScheduleState
from tickonce.partition import Share
from tickonce.ports import Store
from tickonce.testing.contract.base import Part
from tickonce.testing.contract.making import (
    DAY,
    HOUR,
    MINUTE,
    MS,
    NOTHING,
    SECOND,
    look,
    make_idle,
    make_run,
    make_schedule,
    owner_of_all,
    paused,
    put,
    row_of,
    serving,
    start_run,
)

_OUTSIDE = Share(None, bytes([9]) * 1024)


class LookingContract(Part):
    """``due``."""

    def test_a_schedule_is_due_when_the_instant_is_past_its_due_time(self, store: Store) -> None:
        made = make_schedule(store)
        make_idle(store, "later")
        before = store.instant()
        poll = look(store)
        assert poll.due == (made,)
        assert not poll.more
        assert before <= poll.instant <= store.instant()

    def test_what_counts_is_due_and_not_the_scheduled_time(self, store: Store) -> None:
        now = store.instant()
        make_schedule(store, "jittered", first=now - SECOND, due=now + 30 * SECOND)
        poll = look(store)
        assert poll.due == ()
        assert poll.next_here == now + 30 * SECOND

    @pytest.mark.parametrize(("rank", "times"), [(0, 0), (1, 1), (2, 2), (9, 5)])
    def test_the_further_behind_a_node_is_for_a_bucket_the_later_it_steps_in(
        self, store: Store, rank: int, times: int
    ) -> None:
        now = store.instant()
        ripe = make_schedule(store, "ripe", first=now - times * SECOND)
        early = make_schedule(store, "early", first=now - times * SECOND + 30 * SECOND)
        poll = look(store, shares=owner_of_all(rank), takeover_after=SECOND)
        assert poll.due == (ripe,)
        assert early.due is not None
        assert poll.next_here == early.due + times * SECOND

    def test_ranks_are_read_at_the_bucket_of_the_schedule(self, store: Store) -> None:
        rows = [make_schedule(store, f"s{number}", first=store.instant() - 2 * SECOND) for number in range(20)]
        mine = rows[7].bucket
        ranks = bytes(0 if bucket == mine else 9 for bucket in range(1024))
        assert look(store, shares=(Share(None, ranks),)).due == (rows[7],)

    def test_a_node_without_shares_has_nothing_to_do(self, store: Store) -> None:
        make_schedule(store, first=store.instant() - DAY)
        poll = look(store, shares=())
        assert poll.due == ()
        assert poll.next_here is None

    def test_a_share_that_names_a_queue_counts_for_it_and_the_other_for_the_rest(self, store: Store) -> None:
        now = store.instant()
        reports = make_schedule(store, "reports", queue="reports", first=now - SECOND)
        others = make_schedule(store, "others", first=now - SECOND)
        named = frozenset({"reports", "mail"})
        assert look(store, shares=(Share(named, bytes(1024)), _OUTSIDE)).due == (reports,)
        assert look(store, shares=(Share(named, bytes([9]) * 1024), *owner_of_all())).due == (others,)
        assert look(store, shares=(Share(named, bytes(1024)),)).due == (reports,)

    def test_the_oldest_are_returned_up_to_the_limit(self, store: Store) -> None:
        now = store.instant()
        rows = [make_schedule(store, f"s{age}", first=now - age * MINUTE) for age in (2, 5, 1, 4, 3)]
        by_age = sorted(rows, key=lambda row: row.next_fire or now)
        poll = look(store, limit=3)
        assert (poll.due, poll.more) == (tuple(by_age[:3]), True)
        poll = look(store, limit=5)
        assert (poll.due, poll.more) == (tuple(by_age), False)

    def test_what_became_due_here_first_comes_first(self, store: Store) -> None:
        """So in a burst a node deals with what it owns before it takes over, and yet nothing waits for ever."""
        now = store.instant()
        mine = make_schedule(store, "mine", first=now - 20 * SECOND)
        other = make_schedule(store, "other", queue="other", first=now - 25 * SECOND)
        oldest = make_schedule(store, "oldest", queue="other", first=now - 40 * SECOND)
        shares = (Share(frozenset({"other"}), bytes([1]) * 1024), *owner_of_all())
        assert look(store, shares=shares, takeover_after=10 * SECOND).due == (oldest, mine, other)
        poll = look(store, shares=shares, takeover_after=10 * SECOND, limit=2)
        assert (poll.due, poll.more) == ((oldest, mine), True)

    def test_what_is_left_out_is_neither_returned_nor_waited_for(self, store: Store) -> None:
        now = store.instant()
        make_schedule(store, "locked", first=now - MINUTE)
        make_schedule(store, "soon", first=now + 20 * SECOND)
        later = make_schedule(store, "later", first=now + 30 * SECOND)
        kept = make_schedule(store, "kept")
        poll = look(store, leave_out=["locked", "soon"], limit=1)
        assert (poll.due, poll.more) == ((kept,), False)
        assert poll.next_here == later.due

    def test_low_hides_nothing_that_is_due_at_or_after_it(self, store: Store) -> None:
        now = store.instant()
        rows = [make_schedule(store, f"s{age}", first=now - age * MINUTE) for age in (3, 2, 1)]
        assert set(look(store, low=rows[1].due).due) >= {rows[1], rows[2]}
        poll = look(store)
        assert look(store, low=poll.low).due == tuple(rows)

    def test_low_is_a_bound_for_all_schedules_whoever_serves_them(self, store: Store) -> None:
        oldest = make_schedule(store, "oldest", first=store.instant() - HOUR)
        make_schedule(store, "newer")
        poll = look(store, shares=(), leave_out=["oldest"])
        assert oldest.due is not None
        assert poll.low <= oldest.due

    def test_low_is_never_past_the_instant(self, store: Store) -> None:
        make_idle(store)
        poll = look(store)
        assert poll.low <= poll.instant

    def test_what_was_added_after_a_look_is_found_by_the_next(self, store: Store) -> None:
        make_idle(store, "far")
        low = look(store).low
        now = store.instant()
        added = make_schedule(store, "added", first=now, due=now)
        assert look(store, low=low).due == (added,)

    def test_the_next_instant_is_looked_for_up_to_the_horizon(self, store: Store) -> None:
        now = store.instant()
        make_schedule(store, "s", first=now + 10 * MINUTE)
        make_run(store, schedule_id="s", due=now + 20 * MINUTE)
        poll = look(store)
        assert (poll.next_here, poll.next_run) == (None, None)
        poll = look(store, horizon=HOUR)
        assert (poll.next_here, poll.next_run) == (now + 10 * MINUTE, now + 20 * MINUTE)

    def test_what_is_due_is_not_the_next_instant_too(self, store: Store) -> None:
        make_schedule(store)
        assert look(store).next_here is None

    # -- next_run ------------------------------------------------------------------------------

    def test_the_next_run_is_the_first_pending_one_that_the_node_can_carry_out(self, store: Store) -> None:
        now = store.instant()
        make_run(store, "other-job", job="other", due=now - MINUTE)
        make_run(store, "other-queue", queue="other", due=now - MINUTE)
        make_run(store, "later", due=now + 30 * SECOND)
        assert look(store).next_run == now + 30 * SECOND
        make_run(store, "past", due=now - 10 * SECOND)
        assert look(store).next_run == now - 10 * SECOND
        assert look(store, serves=serving("other", queues=["default", "other"])).next_run == now - MINUTE
        assert look(store, serves=NOTHING).next_run is None

    def test_a_run_that_is_too_late_to_start_is_not_waited_for(self, store: Store) -> None:
        now = store.instant()
        make_run(store, "late", due=now - MINUTE, start_by=now - SECOND)
        assert look(store).next_run is None
        make_run(store, "in-time", due=now - SECOND, start_by=now + HOUR)
        assert look(store).next_run == now - SECOND

    def test_a_run_that_a_node_holds_is_not_waited_for(self, store: Store) -> None:
        start_run(store)
        assert look(store).next_run is None

    # -- states --------------------------------------------------------------------------------

    @pytest.mark.parametrize("state", ["ended", "aside", "removed", "paused"])
    def test_a_schedule_without_due_time_is_never_due(self, store: Store, state: str) -> None:
        make_schedule(store, state=ScheduleState(state), next_fire=None, due=None)
        poll = look(store, horizon=DAY)
        assert (poll.due, poll.next_here) == ((), None)

    def test_a_pause_with_an_end_is_due_after_it(self, store: Store) -> None:
        row = make_schedule(store)
        until = store.instant() + timedelta(seconds=20)
        after = store.change(row.id, Pause(schedule_id=row.id, until=until))
        assert after is not None
        poll = look(store, horizon=2 * HOUR)
        assert (poll.due, poll.next_here) == ((), after.due)
        first = store.instant() - SECOND
        over = put(store, replace(paused(row_of(store, row.id), until=first), next_fire=first, due=first))
        assert look(store).due == (over,)

    def test_looking_changes_nothing(self, store: Store) -> None:
        made = make_schedule(store)
        look(store)
        self.let_pass(store, MS)
        assert row_of(store, made.id) == made
