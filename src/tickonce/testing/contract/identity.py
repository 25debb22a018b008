"""What is kept comes back exactly: ids and tokens byte by byte, instants to the microsecond, unknown fields as such."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from datetime import timedelta

import pytest

from tickonce.codec import encode_arguments
from tickonce.definitions import definition_of, form_of, hash_of
from tickonce.editing import Amend, Declare, Pause, Revert
from tickonce.model import Declaration, Definition, Fold, Reason, RunState, Schedule, ScheduleState, token_of
from tickonce.ports import ScheduleFilter, Store
from tickonce.retry import Retry
from tickonce.testing.contract.base import Part
from tickonce.testing.contract.making import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    SERVES,
    join,
    launch,
    look,
    make_idle,
    make_run,
    make_schedule,
    outcome_of,
    policy_with,
    put,
    row_of,
    run_of,
    runs_of,
)
from tickonce.triggers import At, Cron, Every, OpaqueTrigger, Trigger

#: Each differs from another by what some collation takes for nothing.
_ALIKE = (
    "nightly",
    "Nightly",
    "NIGHTLY",
    "nightlý",
    "nightlỳ",
    "n\N{LATIN SMALL LETTER DOTLESS I}ghtly",
    "nightly.",
    "night-ly",
    "night_ly",
    "nightl_",
    "nightl%",
    "strasse",
    "straße",
    "œuvre",
    "oeuvre",
    "\N{FULLWIDTH DIGIT ONE}2",
    "12",
    "ﬁn",
    "fin",
    "日报",
    "日報",
    "😀",
    "😁",
    "e\N{COMBINING ACUTE ACCENT}x\N{COMBINING DOT BELOW}",
    "\\",
    "';DROP",
    '"',
    "{}",
    "%s",
    ":name",
    "$1",
)

_US = timedelta(microseconds=1)


class IdentityContract(Part):
    """Ids, tokens, instants."""

    def test_ids_that_look_alike_are_different_schedules(self, store: Store) -> None:
        ids = [unicodedata.normalize("NFC", each) for each in _ALIKE]
        assert len(set(ids)) == len(ids)
        for number, schedule_id in enumerate(ids):
            assert store.get(schedule_id) is None
            make_idle(store, schedule_id, priority=number)
        assert [row_of(store, schedule_id).definition.priority for schedule_id in ids] == list(range(len(ids)))
        assert store.ids() == sorted(ids)

    def test_runs_of_ids_that_look_alike_are_different_runs(self, store: Store) -> None:
        join(store)
        first = store.instant() - SECOND
        ids = [unicodedata.normalize("NFC", each) for each in _ALIKE]
        rows = [make_schedule(store, schedule_id, first=first) for schedule_id in ids]
        launched = launch(store, *rows, slots=len(rows))
        assert launched.taken == ()
        assert {run.schedule_id for run in launched.claimed} == set(ids)
        outcomes = [outcome_of(run, result=encode_arguments((run.schedule_id,), {})) for run in launched.claimed]
        assert all(store.finish(outcomes))
        for run in launched.claimed:
            assert run_of(store, run.token).result == encode_arguments((run.schedule_id,), {})
            assert runs_of(store, run.schedule_id) == [run_of(store, run.token)]

    def test_keys_that_look_alike_start_different_runs(self, store: Store) -> None:
        make_idle(store, overlap="allow")
        for key in ("a", "A", "á", "ä", "a.", "å"):
            make_run(store, key)
        assert len(runs_of(store)) == 6

    @pytest.mark.parametrize("char", ["x", "é", "报", "😀"])
    def test_tokens_may_have_255_bytes(self, store: Store, char: str) -> None:
        join(store)
        size = len(char.encode())
        schedule_id = char * (190 // size) + "y" * (190 % size)
        make_idle(store, schedule_id, overlap="allow")
        room = 255 - len(f"{schedule_id}@run-".encode())
        keys = [char * ((room - 1) // size) + "y" * ((room - 1) % size) + last for last in "ab"]
        tokens = [make_run(store, key, schedule_id=schedule_id).token for key in keys]
        assert [len(token.encode()) for token in tokens] == [255, 255]
        claimed = store.claim("node", serves=SERVES, limit=9)
        assert {run.token for run in claimed} == set(tokens)
        assert store.finish([outcome_of(run) for run in claimed]) == [True, True]
        assert [run.token for run in store.beat(join(store)).held] == []

    def test_fires_of_the_longest_id_have_tokens_too(self, store: Store) -> None:
        join(store)
        schedule_id = "é" * 95
        first = (store.instant() - SECOND).replace(microsecond=123_456)
        (run,) = launch(store, make_schedule(store, schedule_id, first=first), slots=1).claimed
        assert run.token == token_of(schedule_id, first)
        assert run_of(store, run.token) == run

    @pytest.mark.parametrize("microsecond", [0, 1, 499_999, 500_000, 999_999])
    def test_instants_are_kept_to_the_microsecond(self, store: Store, microsecond: int) -> None:
        """A store that rounds would move a watermark past a fire, or before it."""
        at = store.instant().replace(microsecond=microsecond) + DAY
        row = make_idle(store, watermark=at - DAY, next_fire=at, due=at + _US, paused_until=at + 2 * _US)
        assert (row.watermark, row.next_fire, row.due, row.paused_until) == (at - DAY, at, at + _US, at + 2 * _US)
        read = row_of(self.another(store), row.id)
        assert read == row
        offsets = {each.utcoffset() for each in (read.watermark, read.next_fire, read.created_at) if each is not None}
        assert offsets == {timedelta(0)}
        run = make_run(store, due=at, scheduled_time=at - _US, start_by=at + _US)
        assert (run.due, run.scheduled_time, run.start_by) == (at, at - _US, at + _US)

    def test_fires_long_ago_and_far_ahead_are_kept(self, store: Store) -> None:
        now = store.instant()
        row = make_idle(
            store, watermark=now.replace(year=1971), next_fire=now.replace(year=2999), due=now.replace(year=2999)
        )
        assert row_of(store, row.id) == row
        assert row.watermark.year == 1971
        assert row.due is not None
        assert row.due.year == 2999


class RoundTripContract(Part):
    """Every field comes back as it was."""

    def test_a_schedule_comes_back_as_it_was(self, store: Store) -> None:
        now = store.instant()
        definition = _full_definition()
        row = Schedule(
            id="späť.nightly",
            definition=definition,
            state=ScheduleState.PAUSED,
            revision=17,
            watermark=now - HOUR,
            next_fire=now + HOUR,
            due=now + HOUR + _US,
            fold=Fold("skipped: 跳过", now - DAY),
            reason="stock taking 😀",
            paused_until=now + MINUTE,
            source="code",
            declaration=Declaration(
                hash=hash_of(definition),
                form=form_of(definition),
                release="1.10-rc2",
                overrides=frozenset({"trigger", "timeout"}),
                seen_at=now - SECOND,
            ),
            created_at=now - 2 * DAY,
            created_by="ann",
            updated_at=now - DAY,
            updated_by="bob@example.com",
        )
        written = put(store, row)
        assert written == replace(row, version=written.version)
        assert row_of(self.another(store), row.id) == written
        assert list(store.schedules(ScheduleFilter()).items) == [written]

    @pytest.mark.parametrize(
        "trigger",
        [
            Every("1ms"),
            Every(timedelta(days=400, microseconds=1), anchor="1999-12-31T23:59:59.999999Z"),
            Cron("*/5 9-17 * * 1-5", "Asia/Shanghai"),
            Cron("0 0 31 12 *", "UTC"),
            At("2999-01-01T00:00:00Z", "2999-12-31T23:59:59.999999Z"),
        ],
        ids=repr,
    )
    def test_a_trigger_comes_back_as_it_was(self, store: Store, trigger: Trigger) -> None:
        row = make_idle(store, trigger=trigger)
        assert row_of(self.another(store), row.id).trigger == trigger

    def test_a_run_comes_back_as_it_was(self, store: Store) -> None:
        now = store.instant()
        run = make_run(
            store,
            job="sync 店",
            arguments=encode_arguments((1, "店"), {"when": now}),
            scheduled_time=now - HOUR,
            due=now - MINUTE,
            start_by=now + DAY,
            queue="reports",
            priority=32767,
            policy=_full_definition().policy,
            created_by="ann",
            source="backfill",
        )
        assert (run.job, run.arguments) == ("sync 店", encode_arguments((1, "店"), {"when": now}))
        assert (run.queue, run.priority, run.source, run.created_by) == ("reports", 32767, "backfill", "ann")
        assert run.policy == _full_definition().policy
        assert run_of(self.another(store), run.token) == run

    def test_large_arguments_are_kept_whole(self, store: Store) -> None:
        arguments = encode_arguments(("店" * 80_000,), {})
        make_idle(store, arguments=arguments)
        assert make_run(store).arguments == arguments
        assert row_of(store, "nightly").definition.arguments == arguments

    def test_a_result_and_an_error_of_the_size_that_is_kept_come_back_whole(self, store: Store) -> None:
        join(store)
        make_run(store)
        (run,) = store.claim("node", serves=SERVES, limit=1)
        text = '"' + "店" * 21_844 + '"'
        assert len(text.encode()) == 65_534
        store.finish([outcome_of(run, RunState.FAILED, result=text, error=text)])
        after = run_of(store, run.token)
        assert (after.result, after.error) == (text, text)


class UnknownContract(Part):
    """What newer code has written is left to it, and survives edits by older code."""

    def test_a_trigger_of_an_unknown_kind_comes_back_opaque(self, store: Store) -> None:
        make_schedule(store, trigger=_moon())
        row = row_of(store, "nightly")
        assert isinstance(row.trigger, OpaqueTrigger)
        assert row.trigger.spec() == _moon().spec()
        assert not row.definition.known
        assert [each.trigger for each in look(store).due] == [row.trigger]

    def test_a_trigger_of_an_unknown_kind_survives_edits(self, store: Store) -> None:
        make_idle(store, trigger=_moon())
        store.change("nightly", Amend(schedule_id="nightly", changes={"description": "by old code", "timeout": MINUTE}))
        store.change("nightly", Pause(schedule_id="nightly"))
        row = row_of(store, "nightly")
        assert (row.definition.description, row.policy.timeout) == ("by old code", MINUTE)
        assert row.trigger.spec() == _moon().spec()

    def test_unknown_fields_survive_edits_and_launches(self, store: Store) -> None:
        extra = {"calendar": {"country": "CN", "shift": [1, 2.5, None]}, "max_fires": 3}
        make_schedule(store, extra=extra)
        row = row_of(store, "nightly")
        assert row.definition.extra == extra
        assert not row.definition.known
        store.change("nightly", Amend(schedule_id="nightly", changes={"owner": "old code"}))
        join(store)
        launch(store, row_of(store, "nightly"))
        after = row_of(store, "nightly")
        assert (after.definition.owner, after.definition.extra) == ("old code", extra)

    def test_an_unknown_policy_survives_edits(self, store: Store) -> None:
        form = {**form_of(Definition(job="work", trigger=Every("1h"))), "policy": {"misfire": "newest two", "grace": 5}}
        make_idle(store)
        row = row_of(store, "nightly")
        put(store, replace(row, definition=definition_of(form)))
        store.change("nightly", Amend(schedule_id="nightly", changes={"owner": "old code"}))
        after = row_of(store, "nightly").definition
        assert not after.known
        assert form_of(after)["policy"] == form["policy"]

    def test_what_people_changed_of_a_declared_schedule_survives_a_deploy_and_is_given_back(self, store: Store) -> None:
        first, second = (Definition(job="work", trigger=Every("1h"), owner=owner) for owner in ("ann", "bob"))
        store.change("nightly", _declare(first))
        store.change("nightly", Amend(schedule_id="nightly", changes={"description": "by hand"}))
        store.change("nightly", _declare(second))
        row = row_of(store, "nightly")
        assert (row.definition.owner, row.definition.description) == ("bob", "by hand")
        assert row.declaration is not None
        assert row.declaration.overrides == {"description"}
        assert row.declaration.hash == hash_of(second)
        store.change("nightly", Revert(schedule_id="nightly"))
        assert row_of(store, "nightly").definition == second

    def test_declaring_the_same_again_touches_nothing(self, store: Store) -> None:
        definition = Definition(job="work", trigger=Every("1h"))
        before = store.change("nightly", _declare(definition))
        self.let_pass(store)
        assert store.change("nightly", _declare(definition)) == before
        assert store.get("nightly") == before

    def test_a_skip_reason_may_be_any_text(self, store: Store) -> None:
        row = put(store, replace(make_idle(store), fold=Fold(Reason.MISFIRE, store.instant())))
        assert row_of(store, row.id).fold == row.fold


def _moon() -> OpaqueTrigger:
    return OpaqueTrigger({"kind": "moon", "version": 3, "phase": "full", "at": [1, {"z": None}]}, why="newer")


def _declare(definition: Definition) -> Declare:
    return Declare(schedule_id="nightly", definition=definition, hash=hash_of(definition), form=form_of(definition))


def _full_definition() -> Definition:
    """Return a definition of which no field is at its default."""
    policy = policy_with(
        misfire="all",
        overlap="allow",
        grace=timedelta(seconds=30, microseconds=1),
        catch_up=timedelta(days=3, microseconds=999_999),
        start_within=timedelta(microseconds=7),
        timeout=timedelta(hours=5, milliseconds=250),
        retry=Retry(times=3, delay=timedelta(milliseconds=1), kind="fixed", limit=timedelta(days=1), jitter=0.125),
        on_lost="fail",
        max_losses=0,
        when_cut_off="cancel",
    )
    anchor = "2026-01-01T00:00:00.000001Z"
    trigger = Every("90s", anchor=anchor)
    start = trigger.anchor
    assert start is not None
    return Definition(
        job="sync",
        trigger=trigger,
        arguments=encode_arguments((1, 2.5, None), {"店": b"\x00\xff", "$x": {"$date": 1}}),
        policy=policy,
        jitter=timedelta(seconds=3, microseconds=3),
        start=start,
        end=start + 1000 * DAY + _US,
        queue="报表",
        priority=-32768,
        tags=("b", "a", "ä"),
        owner="Ann O'Neil",
        description='with "quotes"\nand lines\t%s :x ?',
        extra={"calendar": {"n": 1}},
    )
