"""The commands of the examples, as their page shows them."""

from __future__ import annotations

import re
import shlex

from tests.docs.pages import ROOT, rows

EXAMPLES = ROOT / "examples"


def commands() -> dict[str, list[list[str]]]:
    """Return the commands of each example, each in words; the last one serves."""
    found = {}
    for example, command, *_ in rows((EXAMPLES / "README.md").read_text()):
        parts = command.strip("`").split(" && ")
        found[re.findall(r"\[(\w+)\]", example)[0]] = [shlex.split(part) for part in parts]
    return found
