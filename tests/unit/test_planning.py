"""The planner: which fires launch, which are skipped and why, and when next."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.planned import DAY, HOUR, MINUTE, MS, SECOND, T0, US, At, Broken, Counting, schedule, written
from tickonce.model import Definition, Fire, Fold, Plan, Reason, Schedule, ScheduleState, Skip
from tickonce.planning import (
    COUNT_LIMIT,
    PASS_LIMIT,
    choose,
    due_time,
    fire_of,
    folded,
    following,
    moved_past,
    next_due,
    plan,
    skipped,
)
from tickonce.triggers import Every, Trigger, cron


def planned(row: Schedule, now: datetime, **options: bool | int) -> Plan:
    found = plan(row, now, **options)  # type: ignore[arg-type]
    assert found is not None
    return found


def times(found: Plan) -> list[datetime]:
    return [fire.scheduled_time for fire in found.fires]


def told(skips: tuple[Skip, ...]) -> list[tuple[str, int]]:
    return [(str(skip.reason), skip.count) for skip in skips]


class TestWhatIsDue:
    def test_nothing_is_due_before_the_first_fire(self) -> None:
        assert plan(schedule("1m"), T0 + MINUTE - US) is None

    def test_a_fire_is_due_at_its_very_instant(self) -> None:
        found = planned(schedule("1m"), T0 + MINUTE)
        assert times(found) == [T0 + MINUTE]
        assert (found.watermark, found.next_fire, found.due) == (T0 + MINUTE, T0 + 2 * MINUTE, T0 + 2 * MINUTE)
        assert found.state is ScheduleState.ACTIVE
        assert found.skips == ()

    def test_a_schedule_without_a_next_fire_is_not_planned(self) -> None:
        assert plan(schedule(next_fire=None, due=None), T0 + DAY) is None

    @pytest.mark.parametrize("state", [ScheduleState.ENDED, ScheduleState.ASIDE, ScheduleState.REMOVED])
    def test_a_schedule_that_does_not_take_part_is_not_planned(self, state: ScheduleState) -> None:
        assert plan(schedule(state=state), T0 + DAY) is None

    def test_the_same_arguments_give_the_same_plan(self) -> None:
        row = schedule("1m", misfire="all", jitter=MINUTE)
        assert plan(row, T0 + HOUR) == plan(row, T0 + HOUR)

    def test_the_last_fire_ends_the_schedule(self) -> None:
        found = planned(schedule(At((T0 + HOUR,))), T0 + HOUR)
        assert (found.state, found.next_fire, found.due) == (ScheduleState.ENDED, None, None)
        assert choose(found, 0).schedule.state is ScheduleState.ENDED

    def test_a_store_that_went_back_in_time_finds_nothing_due(self) -> None:
        assert plan(schedule("1m", since=T0 + HOUR), T0) is None


class TestGraceAndMisfire:
    def test_fires_at_most_grace_late_are_on_time_whatever_the_policy(self) -> None:
        for misfire in ("skip", "latest", "all"):
            found = planned(schedule("1s", misfire=misfire), T0 + 11 * SECOND)
            assert times(found) == [T0 + count * SECOND for count in range(1, 12)]
            assert found.skips == ()

    def test_one_microsecond_more_is_late(self) -> None:
        found = planned(schedule("1m", misfire="skip"), T0 + MINUTE + 10 * SECOND + US)
        assert (times(found), told(found.skips)) == ([], [("misfire", 1)])

    def test_skip_launches_none_of_the_late_ones(self) -> None:
        found = planned(schedule("1m", misfire="skip"), T0 + HOUR + 30 * SECOND)
        assert (times(found), told(found.skips)) == ([], [("misfire", 60)])
        assert (found.skips[0].first, found.skips[0].last) == (T0 + MINUTE, T0 + HOUR)

    def test_latest_launches_the_newest_of_the_late_ones(self) -> None:
        found = planned(schedule("1m"), T0 + HOUR + 30 * SECOND)
        assert (times(found), told(found.skips)) == ([T0 + HOUR], [("misfire", 59)])
        assert found.watermark == T0 + HOUR

    def test_latest_launches_none_of_them_if_one_on_time_follows(self) -> None:
        found = planned(schedule("1m"), T0 + HOUR + 5 * SECOND)
        assert (times(found), told(found.skips)) == ([T0 + HOUR], [("misfire", 59)])

    def test_a_single_late_fire_is_the_newest(self) -> None:
        found = planned(schedule("1h"), T0 + HOUR + 30 * MINUTE)
        assert (times(found), found.skips) == ([T0 + HOUR], ())

    def test_all_launches_each_one_oldest_first(self) -> None:
        found = planned(schedule("1h", misfire="all"), T0 + 5 * HOUR + 30 * MINUTE)
        assert (times(found), found.skips) == ([T0 + count * HOUR for count in range(1, 6)], ())

    def test_all_reaches_back_as_far_as_the_catch_up_window(self) -> None:
        found = planned(schedule("1h", misfire="all", catch_up=2 * HOUR), T0 + 5 * HOUR)
        assert (times(found), told(found.skips)) == (
            [T0 + count * HOUR for count in (3, 4, 5)],
            [("catch-up window", 2)],
        )

    def test_with_everything_outside_of_the_window_nothing_launches(self) -> None:
        found = planned(schedule("1h", misfire="all", catch_up=timedelta(0)), T0 + 5 * HOUR + 30 * MINUTE)
        assert (times(found), told(found.skips)) == ([], [("catch-up window", 5)])

    def test_what_is_on_time_is_launched_though_the_window_is_shorter_than_the_grace(self) -> None:
        found = planned(schedule("1s", misfire="all", catch_up=SECOND), T0 + 20 * SECOND)
        assert times(found) == [T0 + count * SECOND for count in range(10, 21)]
        assert told(found.skips) == [("catch-up window", 9)]

    def test_without_grace_what_is_due_now_is_on_time(self) -> None:
        found = planned(schedule("1m", misfire="skip", grace=timedelta(0)), T0 + 3 * MINUTE)
        assert (times(found), told(found.skips)) == ([T0 + 3 * MINUTE], [("misfire", 2)])


class TestLimits:
    def test_a_pass_launches_so_many_and_the_rest_stays_due(self) -> None:
        row, now = schedule("1m", misfire="all"), T0 + 10 * HOUR
        found = planned(row, now)
        assert len(found.fires) == PASS_LIMIT
        assert found.watermark == T0 + PASS_LIMIT * MINUTE
        assert found.next_fire == T0 + (PASS_LIMIT + 1) * MINUTE
        rest = planned(written(choose(found, 0)), now)
        assert times(rest)[0] == found.next_fire

    def test_on_time_fires_are_limited_too(self) -> None:
        found = planned(schedule("10ms"), T0 + 5 * SECOND)
        assert (len(found.fires), found.watermark) == (100, T0 + SECOND)

    @pytest.mark.parametrize("limit", [1, 2, 59, 60, 61])
    def test_passes_of_any_size_come_to_the_same(self, limit: int) -> None:
        row, now = schedule("1m", misfire="all", overlap="allow"), T0 + HOUR + 30 * SECOND
        launched: list[datetime] = []
        while (found := plan(row, now, limit=limit)) is not None:
            assert 0 < len(found.fires) <= limit
            launched += times(found)
            row = written(choose(found, 0))
        assert launched == [T0 + count * MINUTE for count in range(1, 61)]

    def test_counting_gives_up_and_says_so(self) -> None:
        (skip,) = planned(schedule("1s", misfire="skip"), T0 + HOUR).skips
        assert (skip.count, skip.more) == (COUNT_LIMIT, True)
        assert (skip.first, skip.last) == (T0 + SECOND, T0 + HOUR - 11 * SECOND)

    def test_a_count_that_is_just_reached_is_exact(self) -> None:
        (skip,) = planned(schedule("1s", misfire="skip", grace=timedelta(0)), T0 + 1000 * SECOND + MS).skips
        assert (skip.count, skip.more) == (1000, False)

    @pytest.mark.parametrize("misfire", ["skip", "latest", "all"])
    @pytest.mark.parametrize("jitter", [timedelta(0), 500 * MS, HOUR])
    @pytest.mark.parametrize(
        "trigger",
        [Every("1ms"), Every("1s"), Every("365d"), cron("0 0 29 2 *", tz="UTC"), cron("*/5 9-17 * * 1-5", tz="UTC")],
    )
    def test_the_planner_never_walks_through_a_month(self, trigger: Trigger, jitter: timedelta, misfire: str) -> None:
        """A look-back, a count that gives up, and a few questions a fire."""
        counting = Counting(trigger)
        now = T0 + 30 * DAY
        row = schedule(counting, jitter=jitter, misfire=misfire, overlap="allow", catch_up=20 * DAY)
        counting.asked.clear()
        found = plan(row, now)
        fires = 0 if found is None else len(found.fires)
        counted = sum(min(skip.count, COUNT_LIMIT) + 1 for skip in found.skips) if found is not None else 0
        # A fire asks for the next one: as its bound, as the end of its jitter, as the end of its time to start.
        assert len(counting.asked) <= 200 + counted + 4 * PASS_LIMIT
        assert fires <= PASS_LIMIT

    def test_a_millisecond_after_a_month_takes_few_questions(self) -> None:
        counting = Counting(Every("1ms"))
        row = schedule(counting, misfire="all", overlap="allow", catch_up=timedelta(0), grace=timedelta(0))
        counting.asked.clear()
        planned(row, T0 + 30 * DAY)
        assert len(counting.asked) < 50 + COUNT_LIMIT + PASS_LIMIT

    def test_the_newest_fire_is_found_in_bursts_and_gaps(self) -> None:
        instants = sorted(T0 + day * DAY + count * MS for day in (1, 2, 300, 301, 4000) for count in range(50))
        for until in [*instants[::7], instants[-1], T0 + 5 * DAY, T0 + 3999 * DAY]:
            row = schedule(At(tuple(instants)), misfire="skip", grace=timedelta(0))
            (skip,) = skipped(row, after=T0, until=until, reason="x")
            assert skip.last == max(instant for instant in instants if instant <= until)
            assert skip.count == sum(instant <= until for instant in instants)

    def test_the_newest_fire_of_a_burst_long_ago_takes_few_questions(self) -> None:
        counting = Counting(At(tuple(T0 + count * MS for count in range(1, 3000))))
        row = schedule(counting, misfire="skip", grace=timedelta(0), overlap="allow")
        counting.asked.clear()
        (skip,) = planned(row, T0 + 5 * SECOND).skips
        assert skip.last == T0 + 2999 * MS
        assert len(counting.asked) < 100 + COUNT_LIMIT

    @example(steps={2, 8, 14, 25}, until=64)  # one lies just where an interval is halved
    @given(steps=st.sets(st.integers(1, 64), min_size=1), until=st.integers(1, 64))
    def test_the_newest_fire_is_found_wherever_the_search_divides(self, steps: set[int], until: int) -> None:
        row = schedule(At(tuple(T0 + step * 128 * MS for step in sorted(steps))))
        found = skipped(row, after=T0, until=T0 + until * 128 * MS, reason="x")
        expected = [step for step in steps if step <= until]
        assert [(skip.last, skip.count) for skip in found] == (
            [(T0 + max(expected) * 128 * MS, len(expected))] if expected else []
        )


class TestJitter:
    def test_a_jittered_fire_is_due_later_and_keeps_its_identity(self) -> None:
        row = schedule("1h", jitter=10 * MINUTE)
        assert row.due is not None
        assert T0 + HOUR < row.due < T0 + HOUR + 10 * MINUTE
        assert plan(row, row.due - US) is None
        found = planned(row, row.due)
        assert times(found) == [T0 + HOUR]
        assert found.fires[0].due == row.due
        assert found.fires[0].token == "nightly@2026-11-21T14:00:00Z"

    def test_an_edit_settles_a_fire_whose_jitter_still_runs(self) -> None:
        row = schedule("1h", jitter=10 * MINUTE)
        assert times(planned(row, T0 + HOUR, settle=True)) == [T0 + HOUR]

    def test_the_older_fires_are_not_held_up_by_the_newest_ones_jitter(self) -> None:
        row = schedule("1m", jitter=MINUTE, misfire="all", overlap="allow")
        due = due_time(row.id, row.definition, T0 + 3 * MINUTE)
        assert times(planned(row, due - US)) == [T0 + MINUTE, T0 + 2 * MINUTE]
        assert times(planned(row, due)) == [T0 + MINUTE, T0 + 2 * MINUTE, T0 + 3 * MINUTE]

    def test_lateness_counts_from_the_due_time(self) -> None:
        row = schedule("1h", jitter=30 * MINUTE, misfire="skip")
        assert row.due is not None
        assert times(planned(row, row.due + 10 * SECOND)) == [T0 + HOUR]
        assert times(planned(row, row.due + 10 * SECOND + US)) == []

    @given(st.integers(1, 10**12), st.integers(1, 10**12))
    def test_a_fire_is_due_before_the_next_one_is_scheduled(self, jitter_us: int, period_ms: int) -> None:
        definition = Definition(job="j", trigger=Every(period_ms * MS, anchor=T0), jitter=jitter_us * US)
        due = due_time("nightly", definition, T0)
        assert T0 <= due <= T0 + min(jitter_us * US, period_ms * MS - US)

    def test_nodes_agree_and_fires_differ(self) -> None:
        definition = Definition(job="j", trigger=Every("1h", anchor=T0), jitter=HOUR)
        dues = [due_time("nightly", definition, T0 + count * HOUR) - T0 - count * HOUR for count in range(50)]
        assert dues == [due_time("nightly", definition, T0 + count * HOUR) - T0 - count * HOUR for count in range(50)]
        assert len(set(dues)) == 50
        assert min(dues) < 10 * MINUTE
        assert max(dues) > 50 * MINUTE
        assert due_time("other", definition, T0) != due_time("nightly", definition, T0)


class TestBounds:
    def test_nothing_fires_before_start_or_after_end_and_both_may_fire(self) -> None:
        definition = Definition(job="j", trigger=Every("1m", anchor=T0), start=T0 + 5 * MINUTE, end=T0 + 7 * MINUTE)
        found, at = [], T0 - DAY
        while (next_fire := following(definition, at)) is not None:
            found.append(next_fire)
            at = next_fire
        assert found == [T0 + 5 * MINUTE, T0 + 6 * MINUTE, T0 + 7 * MINUTE]

    def test_a_start_between_fires_waits_for_the_next(self) -> None:
        definition = Definition(job="j", trigger=Every("1h", anchor=T0), start=T0 + US)
        assert following(definition, T0 - DAY) == T0 + HOUR
        assert following(definition, T0 + HOUR) == T0 + 2 * HOUR

    def test_after_an_outage_past_the_end_the_fires_before_it_are_dealt_with(self) -> None:
        found = planned(schedule("1h", misfire="all", end=T0 + 3 * HOUR), T0 + 9 * HOUR)
        assert times(found) == [T0 + HOUR, T0 + 2 * HOUR, T0 + 3 * HOUR]
        assert found.state is ScheduleState.ENDED

    def test_at_the_end_there_is_no_next(self) -> None:
        definition = Definition(job="j", trigger=Every("1h", anchor=T0), end=T0)
        assert next_due("nightly", definition, T0) == (None, None)


class TestPauseAndOrphans:
    def paused(self, until: datetime | None, **fields: Any) -> Schedule:
        row = schedule("1h", state=ScheduleState.PAUSED, paused_until=until, reason="stock taking", **fields)
        next_fire, due = (None, None) if until is None else next_due(row.id, row.definition, until)
        return replace(row, next_fire=next_fire, due=due)

    def test_a_pause_without_end_is_not_planned(self) -> None:
        assert plan(self.paused(None), T0 + DAY) is None

    def test_a_pause_is_over_at_the_first_fire_after_it(self) -> None:
        row = self.paused(T0 + 2 * HOUR + MINUTE)
        assert plan(row, T0 + 3 * HOUR - US) is None
        found = planned(row, T0 + 3 * HOUR)
        assert times(found) == [T0 + 3 * HOUR]
        assert told(found.skips) == [("paused", 2)]
        after = choose(found, 0).schedule
        assert (after.state, after.paused_until, after.reason) == (ScheduleState.ACTIVE, None, None)

    def test_a_fire_at_the_very_end_of_a_pause_belongs_to_it(self) -> None:
        found = planned(self.paused(T0 + 2 * HOUR), T0 + 3 * HOUR)
        assert (times(found), told(found.skips)) == ([T0 + 3 * HOUR], [("paused", 2)])

    def test_an_outage_after_a_pause_is_a_misfire(self) -> None:
        found = planned(self.paused(T0 + HOUR, misfire="skip"), T0 + 5 * HOUR)
        assert (times(found), told(found.skips)) == ([T0 + 5 * HOUR], [("paused", 1), ("misfire", 3)])

    def test_a_pause_without_any_fire_leaves_no_record(self) -> None:
        found = planned(self.paused(T0 + MINUTE), T0 + HOUR)
        assert (times(found), found.skips) == ([T0 + HOUR], ())

    def test_an_orphan_after_a_pause_keeps_both_reasons(self) -> None:
        found = planned(self.paused(T0 + 2 * HOUR), T0 + 3 * HOUR, orphaned=True)
        assert (times(found), told(found.skips)) == ([], [("paused", 2), ("orphaned", 1)])

    def test_fires_of_an_orphan_are_skipped_with_that_reason(self) -> None:
        found = planned(schedule("1h", misfire="all"), T0 + 3 * HOUR, orphaned=True)
        assert (times(found), told(found.skips)) == ([], [("orphaned", 3)])
        assert found.next_fire == T0 + 4 * HOUR


class TestTimeToStart:
    def test_by_default_it_is_the_period_and_at_least_a_minute(self) -> None:
        assert fire_of(schedule("1h"), T0).start_by == T0 + HOUR
        assert fire_of(schedule("1s"), T0).start_by == T0 + MINUTE

    def test_it_counts_from_the_due_time(self) -> None:
        fire = fire_of(schedule("1h", jitter=HOUR), T0)
        assert fire.due > T0
        assert fire.start_by == fire.due + HOUR

    def test_with_misfire_all_or_without_a_next_fire_there_is_none(self) -> None:
        assert fire_of(schedule("1h", misfire="all"), T0).start_by is None
        assert fire_of(schedule("1h", end=T0), T0).start_by is None

    def test_what_the_policy_says_counts(self) -> None:
        assert fire_of(schedule("1h", start_within=SECOND), T0).start_by == T0 + SECOND
        assert fire_of(schedule("1h", start_within=SECOND, misfire="all"), T0).start_by == T0 + SECOND


class TestChoose:
    def test_without_room_all_fires_are_skipped_as_overlap(self) -> None:
        change = choose(planned(schedule("1h"), T0 + HOUR), 1)
        assert (change.runs, told(change.skips)) == ((), [("overlap", 1)])

    def test_with_room_for_one_the_oldest_runs(self) -> None:
        change = choose(planned(schedule("1h", misfire="all"), T0 + 3 * HOUR), 0)
        assert [fire.scheduled_time for fire in change.runs] == [T0 + HOUR]
        assert [(skip.first, skip.last, skip.count) for skip in change.skips] == [(T0 + 2 * HOUR, T0 + 3 * HOUR, 2)]

    def test_where_overlap_is_allowed_all_run(self) -> None:
        change = choose(planned(schedule("1h", misfire="all", overlap="allow"), T0 + 3 * HOUR), 17)
        assert (len(change.runs), change.skips) == (3, ())

    def test_the_row_moves_on_whatever_is_open(self) -> None:
        found = planned(schedule("1h"), T0 + HOUR)
        for open_runs in (0, 1, 5):
            after = choose(found, open_runs).schedule
            assert (after.watermark, after.next_fire, after.due) == (T0 + HOUR, T0 + 2 * HOUR, T0 + 2 * HOUR)

    def test_the_reason_of_a_schedule_that_is_not_paused_stays(self) -> None:
        row = schedule("1h", reason="noted")
        assert choose(planned(row, T0 + HOUR), 0).schedule.reason == "noted"


class TestAWatermarkThatIsWrittenBack:
    def test_the_fires_passed_without_a_run_are_told_in_stretches(self) -> None:
        row = schedule("1h")
        runs = [T0 + 2 * HOUR, T0 + 3 * HOUR, T0 + 6 * HOUR]
        change = moved_past(row, T0 + 8 * HOUR + MINUTE, runs)
        assert [(skip.first - T0, skip.last - T0, skip.count, skip.more) for skip in change.skips] == [
            (HOUR, HOUR, 1, False),
            (4 * HOUR, 5 * HOUR, 2, False),
            (7 * HOUR, 8 * HOUR, 2, False),
        ]
        assert {skip.reason for skip in change.skips} == {Reason.REWOUND}
        after = change.schedule
        assert (after.watermark, after.next_fire, after.due) == (T0 + 8 * HOUR + MINUTE, *[T0 + 9 * HOUR] * 2)
        assert (after.fold, change.extends, change.runs) == (Fold(Reason.REWOUND, T0 + 7 * HOUR), None, ())

    def test_the_open_record_grows_but_not_across_a_run(self) -> None:
        row = schedule("1h", fold=Fold(Reason.REWOUND, T0 - HOUR))
        assert moved_past(row, T0 + 2 * HOUR, []).extends == T0 - HOUR
        grown = moved_past(row, T0 + 2 * HOUR, [T0 + 2 * HOUR])
        assert (grown.extends, grown.schedule.fold) == (T0 - HOUR, None)
        assert moved_past(row, T0 + 2 * HOUR, [T0 + HOUR]).extends is None

    def test_the_last_fire_passed_ends_the_schedule(self) -> None:
        change = moved_past(schedule(At((T0 + HOUR,))), T0 + HOUR, [])
        assert (change.schedule.state, change.schedule.next_fire, change.schedule.due) == (
            ScheduleState.ENDED,
            None,
            None,
        )
        assert told(change.skips) == [("store went back", 1)]

    def test_the_count_gives_up(self) -> None:
        (skip,) = moved_past(schedule("1s"), T0 + DAY, []).skips
        assert (skip.first, skip.last, skip.count, skip.more) == (T0 + SECOND, T0 + DAY, COUNT_LIMIT, True)

    def test_beyond_the_runs_that_were_asked_for_only_the_span_is_told(self) -> None:
        runs = [T0 + count * SECOND for count in range(1, COUNT_LIMIT + 1)]
        (skip,) = moved_past(schedule("1s"), T0 + HOUR, runs).skips
        assert (skip.first, skip.last, skip.count, skip.more) == (runs[-1] + SECOND, T0 + HOUR, 0, True)

    @pytest.mark.parametrize("fields", [{"trigger": Broken()}, {"extra": {"of": "newer"}}])
    def test_where_the_trigger_cannot_say_the_span_is_told_and_the_next_fire_stays(
        self, fields: dict[str, object]
    ) -> None:
        row = schedule("1h")
        row = replace(row, definition=replace(row.definition, **fields))  # type: ignore[arg-type]
        change = moved_past(row, T0 + 3 * HOUR, [T0 + HOUR])
        assert change.skips == (Skip("nightly", Reason.REWOUND, T0 + US, T0 + 3 * HOUR, 0, more=True),)
        assert (change.schedule.watermark, change.schedule.next_fire) == (T0 + 3 * HOUR, T0 + HOUR)
        ahead = replace(row, next_fire=T0 + 4 * HOUR, due=T0 + 4 * HOUR)
        assert moved_past(ahead, T0 + 3 * HOUR, []).skips == ()

    @pytest.mark.parametrize("state", list(ScheduleState))
    def test_what_has_ended_or_was_removed_owes_none_and_the_rest_does(self, state: ScheduleState) -> None:
        row = schedule("1h", state=state)
        owes = state not in (ScheduleState.ENDED, ScheduleState.REMOVED)
        change = moved_past(row, T0 + 2 * HOUR, [])
        assert told(change.skips) == ([("store went back", 2)] if owes else [])
        assert change.schedule.state is state

    def test_the_fires_of_a_pause_that_goes_on_are_told_once(self) -> None:
        """Those up to the watermark for that, the rest of the pause when it is over."""
        row = schedule(
            "1h", state=ScheduleState.PAUSED, paused_until=T0 + 5 * HOUR, next_fire=T0 + 6 * HOUR, due=T0 + 6 * HOUR
        )
        change = moved_past(row, T0 + 2 * HOUR, [])
        assert change.schedule.next_fire == T0 + 6 * HOUR
        later = planned(written(change), T0 + 6 * HOUR)
        assert [told(change.skips), told(later.skips)] == [[("store went back", 2)], [("paused", 3)]]

    @given(hours=st.integers(1, 30), data=st.data())
    def test_each_fire_passed_has_a_run_or_one_record_and_none_is_launched_after_it(
        self, hours: int, data: st.DataObject
    ) -> None:
        runs = sorted(data.draw(st.sets(st.integers(1, hours))))
        change = moved_past(schedule("1h"), T0 + hours * HOUR, [T0 + at * HOUR for at in runs])
        told_of = [
            at for at in range(1, hours + 2) for skip in change.skips if skip.first <= T0 + at * HOUR <= skip.last
        ]
        assert sorted([*runs, *told_of]) == list(range(1, hours + 1))
        assert sum(skip.count for skip in change.skips) == len(told_of)
        assert times(planned(written(change), T0 + (hours + 1) * HOUR)) == [T0 + (hours + 1) * HOUR]


class TestFolding:
    def skip(self, first: int, last: int | None = None, reason: str = Reason.OVERLAP) -> Skip:
        last = first if last is None else last
        return Skip("nightly", reason, T0 + first * HOUR, T0 + last * HOUR, last - first + 1)

    def fire(self, hour: int) -> Fire:
        return Fire("nightly", T0 + hour * HOUR, T0 + hour * HOUR)

    def test_a_first_skip_opens_a_record(self) -> None:
        row = schedule("1h")
        change = folded(row, replace(choose(planned(row, T0 + HOUR), 1), extends=None))
        assert (change.schedule.fold, change.extends) == (Fold(Reason.OVERLAP, T0 + HOUR), None)

    def test_the_next_of_the_same_reason_continues_it(self) -> None:
        row = written(choose(planned(schedule("1h"), T0 + HOUR), 1))
        change = choose(planned(row, T0 + 2 * HOUR), 1)
        assert (change.extends, change.schedule.fold) == (T0 + HOUR, Fold(Reason.OVERLAP, T0 + HOUR))

    def test_a_run_closes_it(self) -> None:
        row = written(choose(planned(schedule("1h"), T0 + HOUR), 1))
        row = written(choose(planned(row, T0 + 2 * HOUR), 0))
        assert row.fold is None
        assert choose(planned(row, T0 + 3 * HOUR), 1).extends is None

    def test_another_reason_opens_a_new_one(self) -> None:
        row = written(choose(planned(schedule("1h"), T0 + HOUR), 1))
        change = choose(planned(row, T0 + 5 * HOUR + MINUTE), 0)
        assert (told(change.skips), change.extends) == ([("misfire", 3)], None)

    def test_a_run_between_two_skips_of_one_reason_keeps_them_apart(self) -> None:
        row = schedule("1h")
        both = (self.skip(1), self.skip(3))
        change = choose(planned(row, T0 + HOUR), 0)
        apart = folded(row, replace(change, runs=(self.fire(2),), skips=both))
        assert apart.skips == both
        joined = folded(row, replace(change, runs=(self.fire(4),), skips=both))
        assert joined.skips == (Skip("nightly", Reason.OVERLAP, T0 + HOUR, T0 + 3 * HOUR, 2),)

    def test_a_run_before_the_first_skip_keeps_the_open_record_closed(self) -> None:
        row = schedule("1h", fold=Fold(Reason.OVERLAP, T0 - HOUR))
        change = choose(planned(row, T0 + HOUR), 0)
        after = folded(row, replace(change, runs=(self.fire(1),), skips=(self.skip(2),)))
        assert (after.extends, after.schedule.fold) == (None, Fold(Reason.OVERLAP, T0 + 2 * HOUR))

    def test_a_change_without_fires_leaves_the_open_record(self) -> None:
        row = schedule("1h", fold=Fold(Reason.OVERLAP, T0 - HOUR))
        change = choose(planned(row, T0 + HOUR), 0)
        assert folded(row, replace(change, runs=(), skips=())).schedule.fold == row.fold

    def test_of_two_reasons_the_last_one_stays_open(self) -> None:
        row = schedule("1h", fold=Fold(Reason.MISFIRE, T0 - HOUR))
        change = choose(planned(row, T0 + HOUR), 0)
        skips = (self.skip(1, 2, Reason.MISFIRE), self.skip(3))
        after = folded(row, replace(change, runs=(), skips=skips))
        assert (after.extends, after.schedule.fold) == (T0 - HOUR, Fold(Reason.OVERLAP, T0 + 3 * HOUR))

    def test_a_record_that_gave_up_counting_stays_so(self) -> None:
        row = schedule("1h")
        change = choose(planned(row, T0 + HOUR), 0)
        skips = (replace(self.skip(1), more=True), self.skip(2))
        (skip,) = folded(row, replace(change, runs=(), skips=skips)).skips
        assert (skip.count, skip.more) == (2, True)


def test_jitter_ends_where_time_does() -> None:
    last = datetime(9999, 12, 31, 23, tzinfo=UTC)
    definition = Definition(job="work", trigger=At((last,)), jitter=timedelta(hours=30))
    assert last <= due_time("nightly", definition, last) <= datetime.max.replace(tzinfo=UTC)
