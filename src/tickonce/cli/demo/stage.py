"""What the demo shows: lines as things happen, and on a terminal a table that moves."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import click

from tickonce.cli.output import looks_rich

if TYPE_CHECKING:
    from rich.console import RenderableType

_EVENTS = 12
_LINE_EVERY_S = 4.0


@dataclass(frozen=True, slots=True)
class Act:
    """One schedule as it is shown.

    Attributes:
        state: ``active``, ``paused`` or ``removed``.
        expected: Ticks that should be done by now.
        done: Ticks that are.
        by: Ticks done by each node.
    """

    schedule_id: str
    trigger: str
    state: str
    expected: int
    done: int
    by: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class View:
    """All that is shown at one moment.

    Attributes:
        elapsed: Seconds since the fleet stood.
        nodes: Names with pid and whether they live.
    """

    elapsed: float
    seconds: float
    acts: Sequence[Act]
    nodes: Sequence[tuple[str, int, bool]]


class Stage(Protocol):
    """Where the demo speaks."""

    def say(self, text: str = "") -> None:
        """Write a line."""

    def note(self, at: float, verb: str, subject: str, text: str) -> None:
        """Tell what happened *at* so many seconds."""

    def show(self, view: View) -> None:
        """Show how it stands."""

    def close(self) -> None:
        """Stop moving."""


class Lines:
    """Plain lines, for pipes, logs and terminals without rich."""

    def __init__(self, *, err: bool = False) -> None:
        self._err = err
        self._next = _LINE_EVERY_S

    def say(self, text: str = "") -> None:
        """Write a line."""
        click.echo(text, err=self._err)

    def note(self, at: float, verb: str, subject: str, text: str) -> None:
        """Write what happened."""
        self.say(event_line(at, verb, subject, text))

    def show(self, view: View) -> None:
        """Write how it stands, every few seconds."""
        if view.elapsed < self._next:
            return
        self._next = view.elapsed + _LINE_EVERY_S
        expected, done = sum(act.expected for act in view.acts), sum(act.done for act in view.acts)
        alive = sum(alive for _, _, alive in view.nodes)
        self.say(f"{view.elapsed:6.1f}s  {done} of {expected} ticks done so far, {alive} nodes alive")

    def close(self) -> None:
        """There is nothing that moves."""


class Moving:
    """A table that moves, with the newest events below it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(highlight=False)
        self._events: deque[str] = deque(maxlen=_EVENTS)
        self._all: list[str] = []
        self._live: Live | None = None
        self._make: Callable[[RenderableType], Live] = lambda shown: Live(
            shown, console=self._console, auto_refresh=False, transient=True
        )
        self._last: RenderableType | None = None

    def say(self, text: str = "") -> None:
        """Write a line above the table."""
        self._console.print(text, markup=False)

    def note(self, at: float, verb: str, subject: str, text: str) -> None:
        """Keep what happened, for the lines below the table."""
        line = event_line(at, verb, subject, text)
        self._events.append(line)
        self._all.append(line)

    def show(self, view: View) -> None:
        """Draw the table anew."""
        self._last = self._drawn(view)
        if self._live is None:
            self._live = self._make(self._last)
            self._live.start()
        self._live.update(self._last, refresh=True)

    def close(self) -> None:
        """Leave the last table, with all events, on the screen."""
        if self._live is None:
            return
        self._live.stop()
        self._live = None
        if self._last is not None:
            self._events = deque(self._all)
            self._console.print(self._last)

    def _drawn(self, view: View) -> RenderableType:
        from rich.box import SIMPLE_HEAD
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        from tickonce.cli.output import STYLES

        names = [name for name, _, _ in view.nodes]
        shown = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
        for column in ("schedule", "trigger", "state"):
            shown.add_column(column, min_width=10)
        shown.add_column("ticks so far", justify="right")
        shown.add_column("done", justify="right")
        for name, pid, alive in view.nodes:
            shown.add_column(Text(f"{name}\n{'pid ' + str(pid) if alive else 'killed'}", style="" if alive else "red"))
        for act in view.acts:
            shown.add_row(
                act.schedule_id,
                act.trigger,
                Text(act.state, style=STYLES.get(act.state, "dim")),
                str(act.expected),
                Text(str(act.done), style="green" if act.done >= act.expected else "yellow"),
                *(_bar(act.by.get(name, 0)) for name in names),
            )
        left = max(0.0, view.seconds - view.elapsed)
        head = Text(f"{view.elapsed:5.1f} s, {left:.0f} s to go" if left else "the end: waiting for what is open")
        return Group(head, shown, Text("\n".join(self._events), style="dim"))


def stage(*, as_json: bool) -> Stage:
    """Return the stage that suits whoever looks."""
    if as_json:
        return Lines(err=True)
    return Moving() if looks_rich() else Lines()


def event_line(at: float, verb: str, subject: str, text: str) -> str:
    """Return one line of what happened."""
    return f"{at:6.1f}s  {verb:<8} {subject:<12} {text}".rstrip()


def _bar(count: int) -> str:
    return f"{count:>4} {'▪' * min(20, count)}" if count else "   ·"
