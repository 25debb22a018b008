"""``python -m tests.servers``: which servers the tests will find here; ``--packages``: what Debian calls the others."""

from __future__ import annotations

import os
import sys

from tests.servers.faketime import PACKAGE, faketime
from tests.servers.plugin import ALL, KINDS, variable_of
from tests.servers.private import ServerMissing


def main() -> None:
    """Print a line for each server, or the missing packages."""
    missing = []
    for kind, server in ALL.items():
        variable = variable_of(kind)
        named = kind in KINDS and os.environ.get(variable)
        try:
            found = f"named by {variable}" if named else f"programs in {server.programs()}"
        except ServerMissing as reason:
            missing.append(server.package)
            found = f"missing: {reason}"
        if "--packages" not in sys.argv:
            print(f"{server.title:<12} {found}")
    library = faketime()
    if library is None:
        missing.append(PACKAGE)
    if "--packages" not in sys.argv:
        print(f"{'libfaketime':<12} {library or 'missing: no process can have a clock of its own'}")
    if "--packages" in sys.argv:
        print(" ".join(missing))
    elif missing:
        sys.exit(1)


main()
