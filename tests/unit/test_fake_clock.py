"""The clock that tests step, and the system's: waits, signals, and no wake-up that is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest

from tests.unit.planned import HOUR, MINUTE, MS, SECOND, T0
from tickonce.clock import SystemClock
from tickonce.ports import Clock
from tickonce.testing import FakeClock

ZERO = timedelta(0)


class TestTime:
    def test_it_stands_still_until_it_is_advanced(self) -> None:
        clock = FakeClock(T0)
        assert (clock.wall(), clock.monotonic()) == (T0, ZERO)
        clock.advance(MINUTE)
        clock.advance_to(T0 + HOUR)
        assert (clock.wall(), clock.monotonic()) == (T0 + HOUR, HOUR)

    def test_it_does_not_go_backwards(self) -> None:
        clock = FakeClock(T0)
        with pytest.raises(ValueError, match="backwards"):
            clock.advance(-SECOND)
        with pytest.raises(ValueError, match="backwards"):
            clock.advance_to(T0 - SECOND)

    def test_the_wall_clock_may_jump_and_no_time_passes(self) -> None:
        clock = FakeClock(T0)
        clock.advance(MINUTE)
        clock.jump(-HOUR)
        assert (clock.wall(), clock.monotonic()) == (T0 + MINUTE - HOUR, MINUTE)

    def test_the_wall_clock_is_in_utc_and_its_start_aware(self) -> None:
        assert FakeClock(datetime.fromisoformat("2026-11-21T21:00+08:00")).wall().isoformat() == T0.isoformat()
        with pytest.raises(ValueError, match="aware"):
            FakeClock(datetime(2026, 1, 1))


@pytest.mark.parametrize("clock", [FakeClock(T0), SystemClock()], ids=["fake", "system"])
class TestSignals:
    """Both clocks keep what ``ports.Signal`` says."""

    def test_a_signal_remembers_being_set_until_somebody_has_waited(self, clock: Clock) -> None:
        signal = clock.signal()
        signal.set()
        signal.set()
        assert signal.wait()
        assert not signal.wait(ZERO)

    def test_a_wait_without_time_is_a_question(self, clock: Clock) -> None:
        signal = clock.signal()
        assert not signal.wait(ZERO)
        assert not signal.wait(-SECOND)
        signal.set()
        assert signal.wait(-SECOND)

    def test_setting_wakes_who_waits(self, clock: Clock) -> None:
        signal = clock.signal()
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(signal.wait, HOUR)
            signal.set()
            assert waiting.result(timeout=10)

    def test_signals_do_not_hear_each_other(self, clock: Clock) -> None:
        one, other = clock.signal(), clock.signal()
        one.set()
        assert not other.wait(ZERO)
        assert one.wait(ZERO)

    def test_no_signal_is_lost_between_waits(self, clock: Clock) -> None:
        """One that is set just as a wait has ended is for the next wait."""
        signal = clock.signal()
        found: list[bool] = []

        def listen() -> None:
            while len(found) < 300:
                found.append(signal.wait(10 * SECOND))
                answer.set()

        answer = clock.signal()
        thread = Thread(target=listen, daemon=True)
        thread.start()
        for _ in range(300):
            signal.set()
            assert answer.wait(10 * SECOND)
        thread.join(timeout=10)
        assert found == [True] * 300


class TestThreads:
    def test_a_wait_ends_when_its_time_has_passed_and_not_before(self) -> None:
        clock = FakeClock(T0)
        with ThreadPoolExecutor(2) as pool:
            short, long = pool.submit(clock.signal().wait, MINUTE), pool.submit(clock.sleep, HOUR)
            clock.until_waiting(2)
            assert clock.next_deadline() == MINUTE
            clock.advance(MINUTE - MS)
            assert clock.waiting == 2
            clock.advance(MS)
            assert short.result(timeout=10) is False
            assert not long.done()
            assert clock.next_deadline() == HOUR - MINUTE
            clock.advance(HOUR)
            long.result(timeout=10)
        assert (clock.waiting, clock.next_deadline()) == (0, None)

    def test_a_wait_without_end_has_no_deadline(self) -> None:
        clock = FakeClock(T0)
        signal = clock.signal()
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(signal.wait)
            clock.until_waiting()
            clock.advance(1000 * HOUR)
            assert clock.next_deadline() is None
            signal.set()
            assert waiting.result(timeout=10) is True


class TestOneThread:
    def test_a_wait_may_move_the_clock_itself(self) -> None:
        clock = FakeClock(T0, waiting_passes=True)
        clock.sleep(MINUTE)
        assert clock.wall() == T0 + MINUTE
        signal = clock.signal()
        assert signal.wait(HOUR) is False
        signal.set()
        assert signal.wait(HOUR) is True
        assert clock.monotonic() == HOUR + MINUTE


def test_the_system_clock_tells_the_time_in_utc() -> None:
    clock = SystemClock()
    assert clock.wall().tzinfo is UTC
    before = clock.monotonic()
    clock.sleep(MS)
    assert clock.monotonic() - before >= MS
    clock.sleep(-SECOND)
