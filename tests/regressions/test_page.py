"""The page that tells of these scenes names every one of them, and none that is not there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.docs.pages import DOCS, prose, rows

HERE = Path(__file__).parent
PAGE = DOCS / "explanation" / "failures-elsewhere.md"


def named() -> list[str]:
    """Return the tests that the page names, one a row."""
    found: list[str] = []
    for row in rows(prose(PAGE)):
        (name,) = re.findall(r"`([^`]+)`", row[-1])
        found.append(name)
    return found


def scenes() -> Iterator[tuple[str, str]]:
    """Yield each test with what it may also be named by: its class."""
    for path in sorted(HERE.glob("test_*.py")):
        if path == Path(__file__):
            continue
        for item in ast.parse(path.read_text(encoding="utf-8")).body:
            inside = item.body if isinstance(item, ast.ClassDef) else [item]
            for each in inside:
                if isinstance(each, ast.FunctionDef) and each.name.startswith("test_"):
                    group = f"{path.name}::{item.name}" if isinstance(item, ast.ClassDef) else path.name
                    yield f"{group}::{each.name}", group


def test_each_test_that_the_page_names_is_there() -> None:
    there = {name for pair in scenes() for name in pair}
    assert len(named()) >= 30
    assert set(named()) <= there


def test_each_scene_is_on_the_page() -> None:
    told = set(named())
    assert [test for test, group in scenes() if test not in told and group not in told] == []
