"""Settings of a node: what is out of range is refused with field, rule and value."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.unit.planned import HOUR, MINUTE, SECOND, US
from tickonce.config import NodeConfig, Retention
from tickonce.errors import BadId, ConfigError
from tickonce.model import Policy

ZERO = timedelta(0)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"slots": -1}, "slots"),
        ({"slots": 10_001}, "slots"),
        ({"slots": "20"}, "slots"),
        ({"slots": True}, "slots"),
        ({"batch": 1.5}, "batch"),
        ({"queues": ()}, "queues"),
        ({"queues": "gpu"}, "queues"),
        ({"queues": ["gpu"]}, "queues"),
        ({"lease": ZERO}, "lease"),
        ({"beat": ZERO}, "beat"),
        ({"beat": -SECOND}, "beat"),
        ({"takeover_after": ZERO}, "takeover_after"),
        ({"poll": ZERO}, "poll"),
        ({"blind_poll": -US}, "blind_poll"),
        ({"orphan_after": ZERO}, "orphan_after"),
        ({"beat": 5 * SECOND + US}, "beat"),
        ({"margin": -US}, "margin"),
        ({"margin": 5 * SECOND + US}, "margin"),
        ({"batch": 0}, "batch"),
        ({"batch": 10_001}, "batch"),
        ({"drain_timeout": -US}, "drain_timeout"),
        ({"ticks": "no"}, "ticks"),
        ({"retention": "14d"}, "retention"),
        ({"retention": {}}, "retention"),
    ],
    ids=str,
)
def test_a_setting_out_of_its_range_is_refused_by_name(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        NodeConfig(**fields)


def test_a_bad_queue_is_refused() -> None:
    with pytest.raises(BadId):
        NodeConfig(queues=("default", "a b"))


def test_the_borders_are_allowed() -> None:
    NodeConfig(slots=0, queues=(), batch=1, drain_timeout=ZERO, margin=ZERO)
    NodeConfig(slots=10_000, batch=10_000, beat=5 * SECOND, lease=15 * SECOND, margin=5 * SECOND, retention=None)


def test_the_defaults_fit_the_default_policy() -> None:
    NodeConfig().check_grace(Policy(), schedule_id="nightly")


def test_a_grace_too_short_for_a_takeover_is_refused_with_what_is_needed() -> None:
    config = NodeConfig(takeover_after=2 * SECOND, poll=30 * SECOND)
    with pytest.raises(ConfigError, match=r"nightly.*0:00:33"):
        config.check_grace(Policy(grace=33 * SECOND - US), schedule_id="nightly")
    config.check_grace(Policy(grace=33 * SECOND), schedule_id="nightly")


@pytest.mark.parametrize("name", ["runs", "skips", "nodes", "tombstones"])
def test_nothing_is_kept_for_no_time(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        Retention(**{name: ZERO})  # type: ignore[arg-type]
    Retention(**{name: US})  # type: ignore[arg-type]


def test_the_number_of_runs_that_stay_is_not_negative() -> None:
    with pytest.raises(ConfigError, match="keep"):
        Retention(keep=-1)
    assert Retention(keep=0, runs=HOUR).runs > MINUTE


@pytest.mark.parametrize("name", ["lease", "poll", "blind_poll", "takeover_after", "drain_timeout", "orphan_after"])
def test_no_duration_of_a_node_is_so_long_that_a_sum_with_it_overflows(name):
    with pytest.raises(ConfigError, match=f"{name} must be at most 36525 days"):
        NodeConfig(**{name: timedelta.max})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["runs", "skips", "nodes", "tombstones"])
def test_a_retention_for_ever_is_none(name):
    with pytest.raises(ConfigError, match=f"retention of {name} must be at most 36525 days; None keeps all"):
        Retention(**{name: timedelta.max})  # type: ignore[arg-type]
