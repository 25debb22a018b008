"""The command line: what people do with a Scheduler, and what they see of it."""

from __future__ import annotations


def main() -> None:
    """Run the command ``tickonce``; ends the process with its exit code."""
    from tickonce.cli.root import root

    root(prog_name="tickonce")
