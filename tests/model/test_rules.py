"""Every promise holds in the whole space of each configuration, and without each rule one of them breaks."""

from __future__ import annotations

import pytest

from tests.model.cases import CASES, LIMITS, without
from tests.model.promises import PROMISES
from tests.model.search import search
from tests.model.telling import report
from tests.model.world import Faults, Rules, World

SHOWN = [(name, rules) for name, case in CASES.items() for rules in case.shows]


@pytest.mark.parametrize("name", CASES)
def test_with_every_rule_all_promises_hold_in_all_states(name):
    case = CASES[name]
    found = search(case.world, rest=case.rest)
    print(report(name, found))
    assert found.complete
    assert not found.broken, report(name, found)
    assert found.states > 8


@pytest.mark.parametrize(("name", "rules"), SHOWN)
def test_without_a_rule_a_promise_is_broken(name, rules):
    case = CASES[name]
    found = search(without(case.world, rules), rest=case.rest)
    print(report(f"{name} without {rules}", found))
    assert (found.broken, len(found.trace)) == case.shows[rules], report(name, found)
    assert found.states > len(found.trace)


@pytest.mark.parametrize("name", LIMITS)
def test_what_a_store_that_went_back_breaks_all_the_same(name):
    found = search(LIMITS[name].world)
    print(report(name, found))
    assert (found.broken, len(found.trace)) == LIMITS[name].shows[""], report(name, found)


def test_every_rule_is_shown():
    assert {rules for _, rules in SHOWN} == set(Rules._fields)


def test_every_promise_is_broken_by_the_lack_of_some_rule():
    """What nothing breaks would be judged for nothing; that a fleet comes to rest is a check of the model itself."""
    broken = {promise for case in CASES.values() for promise, _ in case.shows.values()}
    assert broken == set(PROMISES) - {"endless"}


@pytest.mark.parametrize("world", [World(faults=Faults(pause=1)), World(fires=1, end=1, lease=1)])
def test_processes_that_are_alike_may_change_names(world):
    """The search takes states as one that differ in names only: that must hide nothing, and save something."""
    whole, folded = search(world, alike=False), search(world)
    assert whole.broken == folded.broken == ""
    assert folded.states < whole.states < 2 * folded.states + 1
    world = without(world, "version+alive_check")
    whole, folded = search(world, alike=False), search(world)
    assert whole.broken == folded.broken != ""
    assert len(whole.trace) == len(folded.trace)
