"""``python -m tests.servers``: which servers the tests will find here; ``--packages``: what Debian calls the others."""

from __future__ import annotations

import os
import sys

from tests.servers.plugin import KINDS, variable_of
from tests.servers.private import ServerMissing


def main() -> None:
    """Print a line for each server, or the missing packages."""
    missing = []
    for kind, server in KINDS.items():
        variable = variable_of(kind)
        try:
            found = f"named by {variable}" if os.environ.get(variable) else f"programs in {server.programs()}"
        except ServerMissing as reason:
            missing.append(server.package)
            found = f"missing: {reason}"
        if "--packages" not in sys.argv:
            print(f"{server.title:<12} {found}")
    if "--packages" in sys.argv:
        print(" ".join(missing))
    elif missing:
        sys.exit(1)


main()
