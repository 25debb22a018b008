"""What the demo shows: lines as things happen, and on a terminal a table that moves."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import click

from tickonce.cli.output import STYLES, looks_rich

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

#: Events shown while the table moves; at the end all are.
_EVENTS = 8
#: Nodes that have a column each; more do not fit.
_NODES = 5
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

        self._console = Console(highlight=False)
        self._events: deque[str] = deque(maxlen=_EVENTS)
        self._all: list[str] = []
        self._live: Live | None = None
        self._last: View | None = None

    def say(self, text: str = "") -> None:
        """Write a line above the table."""
        self._console.print(text, markup=False, soft_wrap=True)

    def note(self, at: float, verb: str, subject: str, text: str) -> None:
        """Keep what happened, for the lines below the table."""
        line = event_line(at, verb, subject, text)
        self._events.append(line)
        self._all.append(line)

    def show(self, view: View) -> None:
        """Draw the table anew."""
        from rich.live import Live

        self._last = view
        drawn = self._drawn(view)
        if self._live is None:
            self._live = Live(drawn, console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(drawn, refresh=True)

    def close(self) -> None:
        """Leave the last table, with all events, on the screen."""
        if self._live is None:
            return
        self._live.stop()
        self._live = None
        if self._last is not None:
            self._events = deque(self._all)
            self._console.print(self._drawn(self._last))

    def _drawn(self, view: View) -> RenderableType:
        from rich.box import SIMPLE_HEAD
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        shown_nodes = view.nodes if len(view.nodes) <= _NODES else ()
        shown = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
        for column, width in (("schedule", 10), ("trigger", 11), ("state", 8)):
            shown.add_column(column, width=width, no_wrap=True)
        for column in ("so far", "done"):
            shown.add_column(column, justify="right")
        for name, _, alive in shown_nodes:
            shown.add_column(Text(name, style="" if alive else "red strike"), justify="right")
        for act in view.acts:
            shown.add_row(
                act.schedule_id,
                act.trigger,
                Text(act.state, style=STYLES.get(act.state, "dim")),
                str(act.expected),
                Text(str(act.done), style="green" if act.done >= act.expected else "yellow"),
                *(str(act.by.get(name) or "·") for name, _, _ in shown_nodes),
            )
        events = Text("\n".join(self._events), style="dim", no_wrap=True, overflow="ellipsis")
        return Group(Text(_head(view), style="bold"), shown, events)


def stage(*, as_json: bool) -> Stage:
    """Return the stage that suits whoever looks."""
    if as_json:
        return Lines(err=True)
    return Moving() if looks_rich() else Lines()


def event_line(at: float, verb: str, subject: str, text: str) -> str:
    """Return one line of what happened."""
    return f"{at:6.1f}s  {verb:<8} {subject:<10} {text}".rstrip()


def _head(view: View) -> str:
    left = view.seconds - view.elapsed
    alive = sum(alive for _, _, alive in view.nodes)
    when = f"{view.elapsed:.0f} s, {left:.0f} s to go" if left > 0 else "time is over, what is open ends"
    return f"{when}; {alive} of {len(view.nodes)} nodes alive"
