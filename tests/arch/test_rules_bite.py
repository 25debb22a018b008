"""A rule that cannot fail protects nothing: each is shown something that breaks it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.arch import test_house, test_imports
from tests.arch.source import Module


def module(name: str, text: str) -> Module:
    path = Path(*name.split(".")).with_suffix(".py")
    return Module(path=path, name=name, tree=ast.parse(text), lines=text.count("\n"))


@pytest.mark.parametrize(
    ("rule", "offender"),
    [
        (test_imports.test_the_core_imports_no_clock_no_chance_and_no_machine, ("tickonce.retry", "import random")),
        (
            test_imports.test_the_core_imports_no_clock_no_chance_and_no_machine,
            ("tickonce.triggers.cron", "def read(): from os import environ"),
        ),
        (test_imports.test_each_third_party_stays_in_its_room, ("tickonce.engine.ticker", "import sqlalchemy.exc")),
        (test_imports.test_each_third_party_stays_in_its_room, ("tickonce.stores.sql", "import numpy")),
        (test_house.test_a_file_does_one_thing_and_is_short, ("tickonce.model", "\n" * 501)),
        (test_house.test_a_module_is_named_after_what_it_holds, ("tickonce.cli.utils", "")),
        (test_house.test_a_class_is_named_after_what_it_is, ("tickonce.jobs", "class JobManager: ...")),
        (test_house.test_only_clock_py_reads_time_or_blocks, ("tickonce.engine.beat", "from time import sleep")),
        (test_house.test_only_clock_py_reads_time_or_blocks, ("tickonce.engine.beat", "now = datetime.now(UTC)")),
    ],
)
def test_an_offender_is_found(rule, offender, monkeypatch):
    for rules in (test_house, test_imports):
        monkeypatch.setattr(rules, "modules", lambda: (module(*offender),))
    with pytest.raises(AssertionError, match=Path(*offender[0].split(".")).with_suffix(".py").name):
        rule()


def test_what_only_type_checkers_read_is_no_import():
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import sqlalchemy\nelse:\n    import random\n"
    assert [name for name, _ in module("tickonce.jobs", text).imports()] == ["typing", "random"]
