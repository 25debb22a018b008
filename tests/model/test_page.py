"""The page about the model shows what the search finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.model.cases import CASES, LARGER, without
from tests.model.search import search
from tests.model.telling import lines
from tests.model.world import Rules

PAGE = (Path(__file__).parents[2] / "docs" / "explanation" / "model.md").read_text(encoding="utf-8")
FIRST = {rule: name for name, case in reversed(CASES.items()) for rule in case.shows}


@pytest.mark.parametrize("rule", Rules._fields)
def test_the_page_has_the_trace_of_each_rule(rule):
    case = CASES[FIRST[rule]]
    found = search(without(case.world, rule), rest=case.rest)
    assert f"`{rule}`" in PAGE
    assert "\n".join(lines(found.trace)) in PAGE


def test_the_page_has_the_figures_of_each_configuration():
    for name in (*CASES, *LARGER):
        assert f"| {name} |" in PAGE
