"""Statements as data: text with ``:names`` that a dialect turns into what its driver takes, once.

Written for all dialects: ``:name`` is a value; ``= ANY(:names)`` and ``<> ALL(:names)`` take a list of texts,
``= ANY_INT(:numbers)`` one of whole numbers; words in braces (tables, the clock, locks) come from the dialect.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

_VALUE = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")
_ANY = re.compile(r"= ANY\(:(\w+)\)")
_ANY_INT = re.compile(r"= ANY_INT\(:(\w+)\)")
_NONE_OF = re.compile(r"<> ALL\(:(\w+)\)")


class Kind(Enum):
    """Kinds of columns, where a driver wants to know."""

    TEXT = "text"
    INT = "bigint"
    FLOAT = "double precision"
    BOOL = "boolean"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Insert:
    """Many rows at once.

    Attributes:
        table: Its name without prefix.
        columns: With their kinds, in the order of the rows' values.
        key: With *merge*: the columns of the key; a row that is there already is merged rather than refused.
        merge: Columns of which the greater value stays.
    """

    table: str
    columns: Mapping[str, Kind]
    key: tuple[str, ...] = ()
    merge: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Update:
    """Many rows at once, each with values of its own.

    Attributes:
        key: Columns that find the row; they stand in *columns*, too.
        columns: What each row of values holds, with its kind.
        sets: By column what it becomes: ``v.name`` is a value, ``r.name`` the row as it was. MySQL reads a column that
            was set before as its new value, so what is read from ``r`` comes first.
    """

    table: str
    key: tuple[str, ...]
    columns: Mapping[str, Kind]
    sets: Mapping[str, str] = field(default_factory=dict)


def named(text: str, *, value: str, any_of: str, any_int: str, none_of: str) -> str:
    """Return *text* with its names written as templates say; ``{}`` in them is the name.

    >>> named("x = ANY(:ids) AND y = :y", value="%({})s", any_of="IN %({})s", any_int="", none_of="")
    'x IN %(ids)s AND y = %(y)s'
    """
    text = _ANY_INT.sub(lambda found: any_int.replace("{}", f"\0{found[1]}"), text)
    text = _ANY.sub(lambda found: any_of.replace("{}", f"\0{found[1]}"), text)
    text = _NONE_OF.sub(lambda found: none_of.replace("{}", f"\0{found[1]}"), text)
    return _VALUE.sub(lambda found: value.replace("{}", found[1]), text).replace("\0", "")
