"""What the code has is in the reference, under the same names and with the same defaults; and nothing else."""

from __future__ import annotations

import inspect
import re
from dataclasses import MISSING, Field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

import tickonce
from tests.docs import reference
from tests.docs.pages import DOCS, ROOT, named, rows, section
from tickonce import Event, Retry, errors
from tickonce.config import NodeConfig, Retention
from tickonce.durations import format_duration
from tickonce.events import EventKind
from tickonce.model import Policy, Reason, RunState, ScheduleState
from tickonce.settings import JobSettings, NodeSettings, ScheduleSettings

SETTINGS = DOCS / "reference" / "settings.md"
ERRORS = DOCS / "reference" / "errors.md"
EVENTS = DOCS / "reference" / "events-and-logging.md"
WORDS = DOCS / "explanation" / "words.md"
SOURCE = ROOT / "src" / "tickonce"


@pytest.mark.parametrize("kind", [NodeConfig, Policy, Retention, Retry], ids=lambda kind: kind.__name__)
def test_each_field_is_documented_with_its_default(kind: type) -> None:
    shown = {row[0].strip("`"): row[2].strip("`") for row in rows(section(SETTINGS, kind.__name__))}
    assert shown == {item.name: _default(item) for item in fields(kind)}


def test_each_setting_of_schedules_jobs_and_nodes_is_documented() -> None:
    assert set(named(section(SETTINGS, "Of a job"))) == set(JobSettings.__annotations__)
    assert set(named(section(SETTINGS, "Of a schedule"))) == set(ScheduleSettings.__annotations__)
    assert set(named(section(SETTINGS, "NodeConfig"))) == set(NodeSettings.__annotations__)


def test_each_error_is_documented_with_its_code_and_its_place_in_the_tree() -> None:
    shown = []
    above = ""
    for row in rows(ERRORS.read_text(encoding="utf-8")):
        name, code = row[0].replace("&emsp;", "").strip("`"), row[1].strip("`")
        found: type[errors.TickonceError] = getattr(errors, name)
        assert found.code == code
        if row[0].startswith("&emsp;"):
            assert found.__base__ is not None
            assert found.__base__.__name__ == above
        else:
            above = name
        shown.append(name)
        assert set(re.findall(r"`(\w+)`", row[3])) == set(_attributes(found)), name
    assert sorted(shown) == sorted(
        name for name, found in vars(errors).items() if inspect.isclass(found) and issubclass(found, Exception)
    )


def test_each_kind_of_event_and_each_field_is_documented() -> None:
    first, second, *_ = re.split(r"^\| field of", section(EVENTS, "Events"), flags=re.MULTILINE)
    assert named(first) == list(get_args(EventKind))
    assert named("| field of" + second) == [item.name for item in fields(Event)]


def test_each_logger_is_documented() -> None:
    loggers = {
        name
        for path in SOURCE.rglob("*.py")
        for name in re.findall(r'getLogger\("(tickonce\.\w+)"\)', path.read_text(encoding="utf-8"))
    }
    assert loggers == set(named(section(EVENTS, "Loggers")))


def test_each_state_and_reason_has_its_line_in_the_table_of_words() -> None:
    text = WORDS.read_text(encoding="utf-8")
    assert set(named(section(WORDS, "States of a schedule"))) == set(ScheduleState)
    assert {*named(section(WORDS, "Reasons of skip records"))} == {*Reason, "set aside"}
    assert all(re.search(rf"\b{state}\b", text) for state in RunState)


def test_each_variable_that_is_read_is_documented() -> None:
    read = {
        name
        for path in SOURCE.rglob("*.py")
        for name in re.findall(
            r'(?:environ(?:\.get)?[(\[]|envvar=)"(TICKONCE_[A-Z]+)"', path.read_text(encoding="utf-8")
        )
    }
    shown = {name for name in named(_text("reference/environment.md")) if "<" not in name}
    assert shown == read | {"TICKONCE_STORE"}


def test_each_extra_that_a_page_installs_exists() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    known = set(project["optional-dependencies"])
    for page in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        for extras in re.findall(r"(?:tickonce|\.)\[([\w,]+)\]", page.read_text(encoding="utf-8")):
            assert set(extras.split(",")) <= known, page


def test_the_reference_of_the_classes_is_what_their_docstrings_say() -> None:
    assert reference.written() == reference.PAGE.read_text(encoding="utf-8"), "write it: python -m tests.docs.reference"


def test_all_that_is_public_is_in_the_reference_of_the_classes() -> None:
    assert reference.missing() == []


def test_each_public_name_of_the_package_is_shown_somewhere() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md"))
    assert [name for name in tickonce.__all__ if name[0] != "_" and not re.search(rf"\b{name}\b", text)] == []


def _text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def _default(item: Field[Any]) -> str:
    value = item.default if item.default is not MISSING else None
    match value:
        case timedelta():
            return format_duration(value)
        case tuple():
            return ", ".join(map(str, value))
        case Retention():
            return "Retention()"
        case str():
            return f'"{value}"'
        case _:
            return str(value)


def _attributes(error: type[errors.TickonceError]) -> list[str]:
    """Return the attributes that the class's docstring names."""
    _, _, listed = inspect.cleandoc(error.__doc__ or "").partition("Attributes:\n")
    return re.findall(r"^ {4}(\w+):", listed, flags=re.MULTILINE)


def test_the_pages_name_no_file_that_is_not_there() -> None:
    """Paths in backticks, such as the tests that the traces name."""
    for page in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        for path in re.findall(r"`((?:src|tests|docs|benchmarks)/[\w/.-]+)`", page.read_text(encoding="utf-8")):
            assert Path(ROOT / path).exists(), f"{page}: {path}"


def test_the_pages_name_no_test_that_is_not_there() -> None:
    """What stands behind ``::`` in backticks."""
    for page in DOCS.rglob("*.md"):
        for path, name in re.findall(r"`(tests/[\w/.-]+)::(\w+)`", page.read_text(encoding="utf-8")):
            text = (ROOT / path).read_text(encoding="utf-8")
            assert re.search(rf"^\s*(class|def) {name}\b", text, flags=re.MULTILINE), f"{page}: {path}::{name}"
