"""When a failed run is tried again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.planned import DAY, HOUR, SECOND, US
from tickonce.errors import DefinitionError
from tickonce.retry import NO_RETRIES, Retry

LONGEST = timedelta(days=36_525)
DURATIONS = st.timedeltas(min_value=timedelta(0), max_value=LONGEST)
RETRIES = st.builds(
    Retry,
    times=st.integers(0, 10**6),
    delay=DURATIONS,
    kind=st.sampled_from(["fixed", "exponential"]),
    limit=DURATIONS,
    jitter=st.floats(0, 1),
)


def waits(retry: Retry, token: str = "a@1") -> list[timedelta | None]:
    return [retry.wait(failures, token=token) for failures in range(1, retry.times + 2)]


def test_by_default_nothing_is_tried_again() -> None:
    assert NO_RETRIES.wait(1, token="a@1") is None


def test_times_counts_the_tries_after_the_first() -> None:
    assert waits(Retry(times=3, delay=SECOND, kind="fixed", jitter=0)) == [SECOND, SECOND, SECOND, None]


def test_an_exponential_wait_doubles_up_to_the_limit() -> None:
    retry = Retry(times=6, delay=SECOND, limit=10 * SECOND, jitter=0)
    assert waits(retry) == [SECOND, 2 * SECOND, 4 * SECOND, 8 * SECOND, 10 * SECOND, 10 * SECOND, None]


def test_a_limit_below_the_delay_counts() -> None:
    for kind in ("fixed", "exponential"):
        assert waits(Retry(times=1, delay=HOUR, limit=SECOND, kind=kind, jitter=0)) == [SECOND, None]


def test_without_delay_it_is_tried_at_once() -> None:
    assert waits(Retry(times=2, delay=timedelta(0))) == [timedelta(0), timedelta(0), None]


@pytest.mark.parametrize("delay", [US, DAY, 365 * DAY, LONGEST])
def test_many_failures_of_a_long_delay_do_not_overflow(delay: timedelta) -> None:
    retry = Retry(times=10**9, delay=delay, limit=LONGEST, jitter=0)
    for failures in (1, 2, 31, 32, 41, 64, 65, 10**6, 10**9):
        wait = retry.wait(failures, token="a@1")
        assert wait is not None
        assert delay <= wait <= LONGEST


@given(RETRIES, st.integers(1, 10**7), st.text(max_size=20))
def test_a_wait_is_never_negative_and_never_longer_than_the_limit(retry: Retry, failures: int, token: str) -> None:
    try:
        token.encode()
    except UnicodeEncodeError:
        return
    wait = retry.wait(failures, token=token)
    assert (wait is None) == (failures > retry.times)
    if wait is not None:
        assert timedelta(0) <= wait <= retry.limit


@given(RETRIES, st.integers(1, 100))
def test_without_jitter_waits_never_get_shorter(retry: Retry, failures: int) -> None:
    plain = Retry(times=200, delay=retry.delay, kind=retry.kind, limit=retry.limit, jitter=0)
    first, second = (plain.wait(count, token="a@1") for count in (failures, failures + 1))
    assert first is not None
    assert second is not None
    assert first <= second


def test_jitter_cuts_by_up_to_its_share_and_the_same_on_every_node() -> None:
    retry = Retry(times=1, delay=100 * SECOND, jitter=0.2)
    found = [retry.wait(1, token=f"a@{number}") for number in range(200)]
    assert found == [retry.wait(1, token=f"a@{number}") for number in range(200)]
    times = [wait for wait in found if wait is not None]
    assert 80 * SECOND <= min(times) < 82 * SECOND
    assert 98 * SECOND < max(times) <= 100 * SECOND


@pytest.mark.parametrize(
    "fields",
    [
        {"times": -1},
        {"delay": -US},
        {"limit": -US},
        {"kind": "linear"},
        {"jitter": -0.1},
        {"jitter": 1.1},
        {"jitter": float("nan")},
    ],
    ids=str,
)
def test_values_out_of_range_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(DefinitionError):
        Retry(**fields)  # type: ignore[arg-type]
