"""What the pages about time say is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.triggers import test_cron_peers
from tickonce.triggers import parse_trigger

DOCS = Path(__file__).parents[3] / "docs"
PAGES = ["explanation/time.md", "reference/triggers.md", "how-to/calendars.md"]


@pytest.mark.parametrize("page", PAGES)
def test_examples_run(page):
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL):
        exec(compile(block, page, "exec"), names)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text = (DOCS / page).read_text()
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert (DOCS / page).parent.joinpath(target).exists(), target


def test_each_difference_has_a_test_of_its_number():
    listed = {int(each) for each in re.findall(r"^\| (\d+) \|", (DOCS / PAGES[0]).read_text(), re.MULTILINE)}
    tested = {int(match[1]) for name in dir(test_cron_peers) if (match := re.match(r"test_difference_(\d+)_", name))}
    assert listed == tested == set(range(1, 17))


def test_each_line_of_text_is_read():
    section = (DOCS / PAGES[1]).read_text().split("## On one line")[1].split("##")[0]
    rows = re.findall(r"^\| (`.*`) \| `(\w+)`", section, re.MULTILINE)
    assert len(rows) == 8
    for texts, kind in rows:
        for text in re.findall(r"`([^`]+)`", texts):
            assert parse_trigger(text).spec()["kind"] == {"calendar_interval": "calendar"}.get(kind, kind)
