"""The Markdown pages, taken apart: fenced blocks, tables, headings, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>.*)$")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_CODE_SPAN = re.compile(r"`[^`]*`")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        line: Of its first line of text, from 1.
        language: The first word behind the fence.
        options: The words behind that, such as ``file=app.py``.
    """

    page: Path
    line: int
    language: str
    options: dict[str, str]
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Return all pages, the README first."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of *page*."""
    lines = page.read_text(encoding="utf-8").splitlines()
    at = 0
    while at < len(lines):
        opened = _FENCE.match(lines[at])
        at += 1
        if opened is None:
            continue
        first, indent = at, opened["indent"]
        while lines[at] != f"{indent}```":
            at += 1
        language, *options = opened["info"].split() or [""]
        text = "".join(f"{line.removeprefix(indent)}\n" for line in lines[first:at])
        yield Block(page, first + 1, language, dict(option.split("=", 1) for option in options), text)
        at += 1


def prose(page: Path) -> str:
    """Return the text of *page* without its fenced blocks."""
    kept: list[str] = []
    inside = False
    for line in page.read_text(encoding="utf-8").splitlines():
        if _FENCE.match(line):
            inside = not inside
        elif not inside:
            kept.append(line)
    return "\n".join(kept)


def links(page: Path) -> Iterator[str]:
    """Yield the targets of the links in *page*."""
    for found in _LINK.finditer(_CODE_SPAN.sub("", prose(page))):
        yield found["target"]


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of *page*."""
    found: set[str] = set()
    for line in prose(page).splitlines():
        if line.startswith("#"):
            text = line.lstrip("#").strip().lower()
            anchor = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
            number = 1
            while anchor in found:
                anchor = f"{anchor}-{number}"
                number += 1
            found.add(anchor)
    return found


def section(page: Path, heading: str) -> str:
    """Return the prose below *heading*, up to the next one of its level or above."""
    lines = prose(page).splitlines()
    starts = [at for at, line in enumerate(lines) if line.startswith("#") and line.lstrip("#").strip() == heading]
    assert len(starts) == 1, f"{page}: {len(starts)} headings {heading!r}"
    level = len(lines[starts[0]]) - len(lines[starts[0]].lstrip("#"))
    body: list[str] = []
    for line in lines[starts[0] + 1 :]:
        if line.startswith("#") and len(line) - len(line.lstrip("#")) <= level:
            break
        body.append(line)
    return "\n".join(body)


def rows(text: str) -> list[list[str]]:
    """Return the cells of all table rows in *text*, without heads."""
    lines = [line.strip() for line in text.splitlines()]
    found: list[list[str]] = []
    for at, line in enumerate(lines):
        head = at + 1 < len(lines) and set(lines[at + 1]) <= set("|-: ") and "-" in lines[at + 1]
        if line.startswith("|") and not head and not set(line) <= set("|-: "):
            found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def named(text: str) -> list[str]:
    """Return what stands in backticks in the first cells of the tables in *text*."""
    return [name for row in rows(text) for name in re.findall(r"`([^`]+)`", row[0])]
