"""The house rules that a linter does not know."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.arch.source import Module, modules

MOST_LINES = 500

# Words that fit everything and so say nothing.
EMPTY_WORDS = re.compile(r"util|helper|manager|handler|common|misc|^data$|^info$")

CLOCK = "clock"
CLOCK_MODULES = {"time", "sched"}
CLOCK_CALLS = {
    "date.today",
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "datetime.now",
    "datetime.today",
    "datetime.utcnow",
}


def test_a_file_does_one_thing_and_is_short():
    """One that has grown is two: divide it by meaning."""
    assert [module.at(1, f"{module.lines} lines") for module in modules() if module.lines > MOST_LINES] == []


def test_a_module_is_named_after_what_it_holds():
    assert [module.at(1, module.name) for module in modules() if EMPTY_WORDS.search(module.name.split(".")[-1])] == []


def test_a_class_is_named_after_what_it_is():
    assert [
        module.at(node.lineno, node.name)
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and EMPTY_WORDS.search(node.name.lower())
    ] == []


def test_only_clock_py_reads_time_or_blocks():
    """Anything else takes *now* as an argument, or waits through a Clock, so that tests can step time."""
    assert [offence for module in modules() if not module.within(CLOCK) for offence in _clock_readings(module)] == []


def _clock_readings(module: Module) -> Iterator[str]:
    for name, line in module.imports():
        if name in CLOCK_MODULES:
            yield module.at(line, f"import {name}")
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in CLOCK_CALLS:
            yield module.at(node.lineno, ast.unparse(node.func))
