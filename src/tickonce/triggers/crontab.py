"""The text of a crontab: its lines as triggers with their commands, and what of it cannot be one."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tickonce.errors import TriggerError
from tickonce.triggers.base import Trigger
from tickonce.triggers.cron import Cron
from tickonce.triggers.every import Every
from tickonce.triggers.zones import zone_name

#: Longer texts are refused unread; a thousand lines are a tenth of it.
_MOST = 1_000_000
#: ``NAME = value``, either of them in quotes if wanted. A line of fields has no ``=`` behind its first word.
_VARIABLE = re.compile(r"""("[^"]*"|'[^']*'|[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)""", re.ASCII)


@dataclass(frozen=True, slots=True)
class CrontabEntry:
    """One line that is due at times.

    Attributes:
        line: Its number, from 1.
        trigger: When; in the zone of the nearest CRON_TZ before it, else without one.
        command: What the shell is given, up to the first ``%``.
        stdin: What the command reads: what follows that ``%``, with each further ``%`` as the end of a line. None when
            there was no ``%``.
        user: Who runs it, in a system's crontab; else None.
        environment: The variables that were set before it, the newest of each name.
    """

    line: int
    trigger: Trigger
    command: str
    stdin: str | None
    user: str | None
    environment: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class CrontabProblem:
    """One line that cannot be a trigger, and why."""

    line: int
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Crontab:
    """What a crontab says.

    Attributes:
        entries: In the order of their lines.
        problems: Lines left out; ``@reboot`` is one.
    """

    entries: tuple[CrontabEntry, ...]
    problems: tuple[CrontabProblem, ...]


def parse_crontab(text: str, *, system: bool = False) -> Crontab:
    r"""Return what *text*, the content of a crontab, says, line by line as crontab(5) reads it.

    Args:
        text: The file's content.
        system: Whether a user stands before each command, as in ``/etc/crontab`` and ``/etc/cron.d``.

    Raises:
        TriggerError: *text* is too long. A line that cannot be read is a problem in the answer.

    Example:
        >>> crontab = parse_crontab("CRON_TZ=Asia/Tokyo\n0 5 * * 1-5 report --all\n@reboot warm-up")
        >>> [(entry.trigger, entry.command) for entry in crontab.entries]
        [(Cron('0 5 * * 1-5', tz='Asia/Tokyo'), 'report --all')]
        >>> [(problem.line, problem.reason[:25]) for problem in crontab.problems]
        [(3, "'@reboot' names no time, ")]
    """
    if len(text) > _MOST:
        raise TriggerError(f"the crontab has {len(text)} characters, allowed are {_MOST}")
    entries: list[CrontabEntry] = []
    problems: list[CrontabProblem] = []
    environment: dict[str, str] = {}
    for number, raw in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        variable = _VARIABLE.fullmatch(line)
        if variable is not None:
            environment[_unquoted(variable[1])] = _unquoted(variable[2])
            continue
        try:
            entries.append(_entry(number, line, environment, system=system))
        except TriggerError as error:
            problems.append(CrontabProblem(number, line[:200], str(error)))
    return Crontab(tuple(entries), tuple(problems))


def _entry(number: int, line: str, environment: dict[str, str], *, system: bool) -> CrontabEntry:
    tz = environment.get("CRON_TZ")
    zone = zone_name(tz) if tz else None
    # cronie has a "-" in front of the fields of a job that is not to be logged.
    line = line.removeprefix("-")
    trigger, rest = _timed(line, zone)
    user = None
    if system:
        user, rest = _word(rest)
    if not rest:
        wanted = "a user and a command" if system and not user else "a command"
        raise TriggerError(f"{wanted} must stand behind the times")
    command, stdin = _with_input(rest)
    return CrontabEntry(number, trigger, command, stdin, user, tuple(environment.items()))


def _timed(line: str, tz: str | None) -> tuple[Trigger, str]:
    first, rest = _word(line)
    if first.startswith("@"):
        if first.lower() == "@every":
            period, rest = _word(rest)
            return Every(period), rest
        return Cron(first, tz), rest
    fields, rest = [], line
    for _ in range(5):
        field, rest = _word(rest)
        fields.append(field)
    if "~" in "".join(fields):
        raise TriggerError("a random time (~) would differ on each node; write H(0-59), which a hash of the id chooses")
    return Cron(" ".join(field for field in fields if field), tz, "unix"), rest


def _word(text: str) -> tuple[str, str]:
    """Return the first word of *text* and what follows the white space behind it."""
    parts = text.split(maxsplit=1)
    return (parts[0] if parts else ""), (parts[1] if len(parts) > 1 else "")


def _with_input(text: str) -> tuple[str, str | None]:
    r"""Divide *text* at its first ``%``; ``\%`` is a plain ``%``."""
    parts = [part.replace("\\%", "%") for part in re.split(r"(?<!\\)%", text)]
    return parts[0].rstrip(), "\n".join(parts[1:]) if len(parts) > 1 else None


def _unquoted(value: str) -> str:
    value = value.strip()
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value
