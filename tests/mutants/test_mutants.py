"""The catalogue fits the code, so that ``make mutants`` can be run at any time; and one mutant is judged."""

from __future__ import annotations

import re

import pytest

from tests.mutants.catalogue import MUTANTS, Mutant
from tests.mutants.judges import ROOT, misfits, mutated, seen_by_fleets, seen_by_tests


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.rule)
def test_each_rule_can_be_taken_out(mutant: Mutant):
    assert misfits(mutant) == []


def test_the_page_tells_of_each_mutant_what_saw_it():
    page = (ROOT / "docs/explanation/guarantees.md").read_text()
    told = re.findall(r"^\| (.*?) \| `(\S+)`: `(\w+)` \| (?:seed|none|has)", page, re.MULTILINE)
    assert [rule for rule, _, _ in told] == [mutant.rule for mutant in MUTANTS]
    for _, path, test in told:
        assert test in (ROOT / "tests" / path).read_text() or path.startswith("contract/"), (path, test)


def test_a_rule_that_is_taken_out_is_missed_by_a_test_and_by_a_simulated_fleet():
    (mutant,) = (each for each in MUTANTS if each.rule == "the version check")
    with mutated(mutant) as copy:
        assert (seen_by_tests(mutant, copy) or "").startswith("tests/contract/test_memory.py::")
        assert (seen_by_fleets(copy, seeds=50) or "").startswith("seed ")
