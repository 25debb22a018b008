"""Events reach callbacks, and neither slow nor broken callbacks reach anybody."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from datetime import timedelta

import pytest

from tickonce import Event
from tickonce.errors import ConfigError
from tickonce.events import Events

PATIENCE_S = 10


@pytest.fixture
def events():
    events = Events(waiting=3)
    yield events
    events.close()


def failed(reason: str) -> Event:
    return Event(kind="failed", schedule_id="nightly", reason=reason)


def test_callbacks_get_the_events_of_their_kind_in_order(events):
    got: list[tuple[str, str | None]] = []
    events.on("failed", lambda event: got.append(("one", event.reason)))
    events.on("failed", lambda event: got.append(("two", event.reason)))
    events.on("lost", lambda event: got.append(("lost", event.reason)))
    events.emit(failed("a"))
    events.emit(Event(kind="skipped"))
    events.emit(failed("b"))
    assert events.flush()
    assert got == [("one", "a"), ("two", "a"), ("one", "b"), ("two", "b")]


@pytest.mark.parametrize("error", [RuntimeError, SystemExit, KeyboardInterrupt])
def test_what_a_callback_raises_is_logged_and_the_others_go_on(events, caplog, error):
    got: list[str | None] = []

    def broken(event: Event) -> None:
        raise error

    events.on("failed", broken)
    events.on("failed", lambda event: got.append(event.reason))
    events.emit(failed("a"))
    events.emit(failed("b"))
    assert events.flush()
    assert got == ["a", "b"]
    assert [record.message for record in caplog.records] == ["a callback for 'failed' raised"] * 2


def test_a_slow_callback_holds_up_no_emitter_and_what_does_not_fit_is_dropped_aloud(events, caplog):
    busy, go_on = threading.Event(), threading.Event()
    got: list[str | None] = []

    def slow(event: Event) -> None:
        busy.set()
        assert go_on.wait(PATIENCE_S)
        got.append(event.reason)

    events.on("failed", slow)
    events.emit(failed("0"))
    assert busy.wait(PATIENCE_S)
    for number in range(1, 6):
        events.emit(failed(str(number)))
    assert not events.flush(timedelta(0))
    go_on.set()
    assert events.flush()
    assert got == ["0", "1", "2", "3"]
    events.emit(failed("6"))
    assert events.flush()
    assert [record.getMessage() for record in caplog.records] == [
        "callbacks are too slow: 3 events wait, what comes now is dropped",
        "2 events were dropped",
    ]


def test_without_callbacks_there_is_no_thread(events):
    before = threading.active_count()
    events.emit(failed("a"))
    assert events.flush()
    assert threading.active_count() == before


def test_after_closing_a_later_event_is_delivered_as_well(events):
    got: list[str | None] = []
    events.on("failed", lambda event: got.append(event.reason))
    for reason in ("a", "b"):
        events.emit(failed(reason))
        assert events.close()
    assert got == ["a", "b"]


def test_a_callback_that_flushes_does_not_wait_for_itself(events):
    got: list[tuple[str | None, bool]] = []
    events.on("failed", lambda event: got.append((event.reason, events.flush())))
    events.emit(failed("a"))
    assert events.flush()
    assert got == [("a", False)]


def test_an_event_that_does_not_exist_is_refused_with_those_that_do(events):
    with pytest.raises(
        ConfigError, match=r"no event is called 'fail'\. Did you mean 'failed'\? There are: succeeded, failed"
    ):
        events.on("fail", print)


def test_a_coroutine_function_is_no_callback(events):
    async def callback(event: Event) -> None: ...

    with pytest.raises(ConfigError, match="must be a plain function"):
        events.on("failed", callback)
    with pytest.raises(ConfigError, match="must be a plain function"):
        events.on("failed", "print")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_after_a_fork_events_begin_anew(events):
    got: list[str | None] = []
    events.on("failed", lambda event: got.append(event.reason))
    events.emit(failed("parent"))
    assert events.flush()
    events.forget()  # as a child does
    events.emit(failed("child"))
    assert events.flush()
    assert got == ["parent", "child"]


def test_callbacks_have_the_surroundings_that_jobs_have(events_around):
    events, entered = events_around
    got: list[int] = []
    events.on("failed", lambda _: got.append(len(entered)))
    events.emit(failed("a"))
    events.emit(failed("b"))
    assert events.flush()
    assert got == [1, 2]


def test_surroundings_that_raise_harm_no_other_callback(events_around, caplog):
    events, entered = events_around
    got: list[str | None] = []
    events.on("failed", lambda event: got.append(event.reason))
    entered.append("broken")
    events.emit(failed("a"))
    assert events.flush()
    entered.clear()
    events.emit(failed("b"))
    assert events.flush()
    assert got == ["b"]
    assert "no surroundings" in caplog.text


@pytest.fixture
def events_around():
    entered: list[str] = []

    @contextmanager
    def around():
        if "broken" in entered:
            raise OSError("no surroundings")
        entered.append("in")
        yield

    events = Events(around=around)
    yield events, entered
    events.close()
