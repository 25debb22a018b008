"""How the command line was called, and what its advice says therefore: ``manage.py tickonce serve`` under Django."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tickonce.errors import SchemaError

_COMMAND = re.compile(
    r"(?<!\S)(?<!manage\.py )(?<!flask )tickonce "
    r"(?=(add|cancel|db|doctor|edit|ls|next|nodes|prune|resume|retry|revert|rm|run-now|runs|serve|show|skips)\b)"
)


@dataclass(frozen=True, slots=True)
class Caller:
    """What people type here.

    Attributes:
        prog: What stands before a command.
        upgrade: What makes the tables and changes them.
        store: Where the program says which store it has.
        app: The program, where they have named it.
    """

    prog: str = "tickonce"
    upgrade: str = "tickonce db upgrade"
    store: str = "TICKONCE_STORE"
    app: str = "module:scheduler"

    @property
    def brings_program(self) -> bool:
        """Whether the program is known without ``-A``."""
        return self.prog != "tickonce"

    def words(self, text: str) -> str:
        """Return *text* with its commands as people type them here.

        >>> Caller("manage.py tickonce", "manage.py migrate").words("run: tickonce db upgrade, or tickonce ls -a")
        'run: manage.py migrate, or manage.py tickonce ls -a'
        """
        if not self.brings_program:
            return text.replace(" -A module:scheduler", f" -A {self.app}")
        named = text.replace("tickonce db upgrade", self.upgrade).replace(" -A module:scheduler", "")
        return _COMMAND.sub(f"{self.prog} ", named)


#: Who calls ``tickonce`` itself.
SHELL = Caller()


def cause(error: SchemaError, url: str | None) -> str:
    """Return what *error* says, but for a directory or an SQLite file that is not there: then that.

    Args:
        error: That there are no tables, which it says of a file that is missing, too.
        url: The store's.
    """
    scheme, _, rest = (url or "").partition("://")
    if error.found is not None or scheme.partition("+")[0] != "sqlite":
        return str(error)
    path = Path(rest.partition("?")[0].removeprefix("/")).absolute()
    _, _, mend = str(error).partition(". ")
    folder = path.parent
    if not folder.is_dir():
        return (
            f"there is no directory {folder}, so no file {path}. Correct the store's URL, or: mkdir -p {folder}. {mend}"
        )
    if not path.exists():
        return (
            f"there is no file {path}, so no tables. Correct the store's URL if that is not the file you mean. {mend}"
        )
    return str(error)
