"""Every link between the pages leads somewhere, and every page can be reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT, anchors, links, pages

PAGES = pages()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_links_of_a_page_resolve(page: Path) -> None:
    broken = [target for target in links(page) if not _resolves(page, target)]
    assert not broken


def test_every_page_can_be_reached_from_the_index() -> None:
    found = {DOCS / "index.md"}
    queue = list(found)
    for page in queue:
        for target in links(page):
            there = (page.parent / target.partition("#")[0]).resolve()
            if there.suffix == ".md" and there.is_relative_to(DOCS) and there.exists() and there not in found:
                found.add(there)
                queue.append(there)
    assert not {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")} - {
        str(page.relative_to(DOCS)) for page in found
    }


def _resolves(page: Path, target: str) -> bool:
    if "://" in target or target.startswith("mailto:"):
        return True
    name, _, anchor = target.partition("#")
    there = (page.parent / name).resolve() if name else page
    if not there.exists():
        return False
    return not anchor or anchor in anchors(there)
