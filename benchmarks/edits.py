"""Edits: how many ``add``, ``update`` and ``run_now`` a second, from one process and from several at once."""

from __future__ import annotations

from typing import Any

from benchmarks.places import fresh, schema
from benchmarks.processes import members

VERBS = ("add", "update", "run_now")


def edits(store: str, *, processes: int = 1, count: int = 500) -> list[dict[str, Any]]:
    """Return the figures of *count* calls a process of each verb, one after the other."""
    rows: list[dict[str, Any]] = []
    with fresh(store) as place:
        schema(place)
        with members(processes, "editor", store=place.url) as started:
            for verb in VERBS:
                for number, member in enumerate(started):
                    member.tell(verb, number=number, count=count)
                answers = [member.answer() for member in started]
                seconds = max(answer["ended"] for answer in answers) - min(answer["began"] for answer in answers)
                rows.append(
                    {
                        "verb": verb,
                        "processes": processes,
                        "count": processes * count,
                        "seconds": seconds,
                        "per_s": processes * count / seconds,
                        "mean_ms": 1000 * seconds / count,
                    }
                )
    return rows
