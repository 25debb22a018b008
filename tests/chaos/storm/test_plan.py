"""The plan of a storm: the same for a seed, varied, and never the end of all nodes."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.chaos.storm.pace import CALM_BEFORE_S, CALM_BEHIND_S, LEASE_S
from tests.chaos.storm.plan import CLOCKS, FILE, NETWORK, NODE, SERVER, Fault, What, plan_of

ON_SERVER = (*NODE, *NETWORK, *CLOCKS, *SERVER, What.ROLL)
ON_FILE = (*NODE, *FILE, What.ROLL)
SEEDS = range(40)


def plans(seconds: float = 600) -> list[list[Fault]]:
    return [plan_of(seed, seconds, 5, kinds) for seed in SEEDS for kinds in (ON_SERVER, ON_FILE)]


def test_a_seed_gives_the_same_plan_again():
    assert plan_of(7, 300, 5, ON_SERVER) == plan_of(7, 300, 5, ON_SERVER)


def test_seeds_differ():
    assert len({str(plan_of(seed, 300, 5, ON_SERVER)) for seed in SEEDS}) == len(SEEDS)


def test_ten_minutes_have_every_kind_several_times():
    for seed in SEEDS:
        for kinds in (ON_SERVER, ON_FILE):
            planned = [fault.what for fault in plan_of(seed, 600, 5, kinds)]
            assert all(planned.count(kind) >= 3 for kind in kinds), seed


def test_kills_that_are_measured_have_nothing_around_them():
    for plan in plans():
        alone = [fault for fault in plan if fault.alone]
        assert len(alone) >= 6
        for kill in alone:
            begin, end = kill.at_s - CALM_BEFORE_S, kill.at_s + CALM_BEHIND_S
            around = [each for each in plan if each is not kill and each.what not in CLOCKS]
            assert not [each for each in around if each.at_s < end and each.end_s > begin]


def test_two_nodes_at_least_are_left_alone():
    for plan in plans():
        lasting = [fault for fault in plan if fault.node is not None and fault.what not in CLOCKS]
        for fault in lasting:
            harmed = {each.node for each in lasting if each.at_s <= fault.at_s < each.end_s}
            assert len(harmed) <= 3


def test_a_server_is_not_killed_while_it_is_down():
    for plan in plans():
        faults = [fault for fault in plan if fault.what in (*SERVER, *FILE)]
        assert all(before.end_s < later.at_s for before, later in pairwise(faults))


def test_stops_last_longer_than_the_lease():
    stops = [fault for plan in plans() for fault in plan if fault.what is What.STOP]
    assert min(fault.length_s for fault in stops) > LEASE_S


def test_a_short_storm_is_over_in_time_and_has_more_than_kills():
    for plan in plans(seconds=27):
        assert len({fault.what for fault in plan}) >= 3
        assert all(fault.end_s <= 27.01 for fault in plan if fault.what is not What.ROLL)


def test_fewer_than_three_nodes_are_no_fleet():
    with pytest.raises(ValueError, match="at least 3"):
        plan_of(1, 60, 2, ON_SERVER)
