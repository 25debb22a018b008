"""The reference of the classes, made of their docstrings: ``python -m tests.docs.reference`` writes it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, fields
from types import ModuleType
from typing import Any

import tickonce
from tests.docs.pages import DOCS
from tickonce import calendars, model, testing, triggers
from tickonce.bound import Bound
from tickonce.client import RunQuery, ScheduleQuery
from tickonce.jobs import Call
from tickonce.triggers import days

PAGE = DOCS / "reference" / "scheduler.md"

_HEAD = """\
# Scheduler, jobs, triggers

Made of the docstrings by `python -m tests.docs.reference`; edit them, not this page. The keyword arguments that are
written `**settings` and `**options` are those of [settings](settings.md); what is raised is described in
[errors](errors.md). All instants are aware datetimes. Durations are `timedelta` or text such as `"10m"`.

"""


@dataclass(frozen=True)
class Part:
    """A class or function, with the members that are shown in this order below headings of their own.

    Attributes:
        hidden: Members that users have no business with.
        short: Whether each member gets a line instead of a heading.
        text: What the docstring is taken from, if not *subject*.
        fields: Whether the fields of the dataclass are shown in a table.
    """

    title: str
    subject: Any
    groups: dict[str, tuple[str, ...]]
    hidden: frozenset[str] = frozenset()
    short: bool = False
    text: Any = None
    fields: bool = False


def _names(home: ModuleType) -> set[str]:
    return set(getattr(home, "__all__", vars(home)))


def _makers(home: ModuleType, kind: str, first: tuple[str, ...] = ()) -> Iterator[Part]:
    """Yield the functions in *home* that make something with a method *kind*; the class tells what they leave out."""
    for name in (*first, *sorted(_names(home) - set(first))):
        subject = getattr(home, name)
        if inspect.isfunction(subject) and not name.startswith(("_", "load_", "parse_")) and "spec" not in name:
            made = getattr(home, str(inspect.signature(subject).return_annotation), None)
            if inspect.isclass(made) and hasattr(made, kind) and made is not triggers.Trigger:
                yield Part(name, subject, {}, text=subject if "Args:" in (subject.__doc__ or "") else made)


PARTS = (
    Part(
        "Scheduler",
        tickonce.Scheduler,
        {
            "Declaring": ("job", "schedule", "include", "declare", "on"),
            "A node in this process": ("serve", "start", "stop", "node", "alive", "node_id"),
            "Changing schedules": ("add", "update", "pause", "resume", "remove", "revert", "run_now", "using"),
            "Reading": ("get", "schedules", "next_fires", "run", "runs", "skips", "nodes"),
            "Steering runs": ("retry", "cancel", "prune"),
            "The client": ("open", "store", "by", "close"),
        },
    ),
    Part(
        "AsyncScheduler",
        tickonce.AsyncScheduler,
        {
            "Coroutines, as those of Scheduler": (
                *("declare", "start", "stop", "node", "add", "update", "pause", "resume", "remove", "revert"),
                *("run_now", "get", "schedules", "next_fires", "run", "runs", "skips", "nodes", "retry", "cancel"),
                *("prune", "open", "close"),
            ),
            "Not coroutines": ("job", "schedule", "include", "on", "using", "alive", "node_id", "jobs", "events"),
        },
        short=True,
    ),
    Part(
        "Inside a caller's transaction",
        Bound,
        {"Verbs": ("add", "update", "pause", "resume", "remove", "revert", "run_now", "get", "by")},
        short=True,
    ),
    Part(
        "Jobs",
        tickonce.Jobs,
        {"Registering": ("job", "schedule", "include"), "Reading": ("find", "names", "declared")},
    ),
    Part("Job", tickonce.Job, {"Methods": ("bind", "bound")}),
    Part("Call", Call, {"Properties": ("job_name",)}),
    Part("current_run", tickonce.current_run, {}),
    Part(
        "RunContext",
        tickonce.RunContext,
        {"For the job": ("log", "progress", "cancelled", "cancel_reason", "check", "sleep", "asleep", "transaction")},
        hidden=frozenset({"cancel", "entered", "in_transaction"}),  # the engine's
    ),
    *_makers(triggers, "next_after", ("cron", "every", "at")),
    *_makers(days, "next_after"),
    *_makers(calendars, "includes"),
    Part("Trigger", tickonce.Trigger, {"What a trigger does": ("next_after", "spec", "resolved")}),
    Part("Retry", tickonce.Retry, {"Methods": ("wait",)}),
    Part("Schedule", model.Schedule, {}, fields=True),
    Part("Definition", model.Definition, {}, fields=True),
    Part("Run", model.Run, {}, fields=True),
    Part("Skip", model.Skip, {}, fields=True),
    Part("Node", model.Node, {}, fields=True),
    Part("Page", model.Page, {}, fields=True),
    Part("run_inline", testing.run_inline, {}),
    Part("run_due", testing.run_due, {}),
    Part(
        "FakeClock",
        testing.FakeClock,
        {
            "Methods": (
                "advance",
                "advance_to",
                "jump",
                "suspend",
                "wall",
                "monotonic",
                "boottime",
                "sleep",
                "signal",
                "until_waiting",
            )
        },
        hidden=frozenset({"wait", "look_again", "waiting", "next_deadline"}),  # its signals'
    ),
)

#: Classes that users make themselves.
_CONSTRUCTED = frozenset({"Scheduler", "AsyncScheduler", "Jobs", "Retry", "FakeClock"})

_QUERIES: dict[str, type] = {"schedules": ScheduleQuery, "runs": RunQuery}

_ROLE = re.compile(r":(?:class|func|meth|data):`(?:tickonce\.)?(?:\w+\.)*?((?:[A-Z]\w+\.)?\w+)`")
_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Example):(:?)$")


def written() -> str:
    """Return the page."""
    return _HEAD + "\n".join(line for part in PARTS for line in _part(part)).rstrip() + "\n"


def missing() -> list[str]:
    """Return public members that no part shows."""
    found = []
    for part in PARTS:
        if inspect.isclass(part.subject) and not part.fields:
            shown = {name for names in part.groups.values() for name in names} | part.hidden
            attributes = set(re.findall(r"^    (\w+):", _listed(part.subject), flags=re.MULTILINE))
            found += [f"{part.title}.{name}" for name in _public(part.subject) if name not in shown | attributes]
    return found


def _public(subject: type) -> Iterator[str]:
    names = {
        name
        for base in subject.__mro__
        if base.__module__.startswith("tickonce")
        for name in [*vars(base), *getattr(base, "__slots__", ())]
    }
    for name in sorted(names):
        if not name.startswith("_") and (callable(getattr(subject, name, None)) or _is_property(subject, name)):
            yield name


def _is_property(subject: type, name: str) -> bool:
    return isinstance(inspect.getattr_static(subject, name, None), property)


def _listed(subject: Any) -> str:
    """Return the section on attributes of a docstring."""
    return inspect.cleandoc(subject.__doc__ or "").partition("Attributes:\n")[2]


def _part(part: Part) -> Iterator[str]:
    yield f"## {part.title}"
    yield ""
    home = _home(part.title)
    if home is not None:
        yield f"`from {home} import {part.title}`"
        yield ""
    if not inspect.isclass(part.subject) or part.title in _CONSTRUCTED:
        yield from _signature(part.title, part.subject)
    text = part.text or part.subject
    if part.fields:
        yield from _fields(text)
        return
    yield from _text(text)
    for heading, names in part.groups.items():
        if not part.short:
            yield f"### {heading}"
            yield ""
        else:
            yield f"{heading}:"
            yield ""
        for name in names:
            yield from _member(part, name)
        if part.short:
            yield ""


def _member(part: Part, name: str) -> Iterator[str]:
    found = inspect.getattr_static(part.subject, name)
    if part.short:
        first = inspect.getdoc(found if isinstance(found, property) else getattr(part.subject, name)) or ""
        yield f"- `{name}`: {_inline(first.partition(chr(10) * 2)[0].replace(chr(10), ' '))}"
        return
    yield f"#### {name}"
    yield ""
    if isinstance(found, property):
        yield from _text(found.fget)
    else:
        yield from _signature(name, getattr(part.subject, name))
        yield from _text(_told(part.subject, name))
        if part.subject is tickonce.Scheduler and name in _QUERIES:
            yield "*which*, by name:"
            yield ""
            yield from (f"- `{field}`: `{_type(kind)}`" for field, kind in _QUERIES[name].__annotations__.items())
            yield ""


def _told(subject: type, name: str) -> Any:
    """Return the method whose docstring tells what *name* does: of a base class, where the class refers to that."""
    found = getattr(subject, name)
    for base in subject.__mro__[1:]:
        if f"see :meth:`{base.__module__}.{base.__name__}.{name}`" in (found.__doc__ or ""):
            return getattr(base, name)
    return found


def _home(name: str) -> str | None:
    """Return the package that people import *name* from, or None."""
    return next(
        (home.__name__ for home in (tickonce, triggers, days, calendars, testing, model) if name in _names(home)), None
    )


def _fields(subject: type) -> Iterator[str]:
    """Yield a dataclass: what it is, then a table of all its fields."""
    head, _, _ = inspect.cleandoc(subject.__doc__ or "").partition("\n\nAttributes:\n")
    yield _inline(head)
    yield ""
    said = {
        name: " ".join(text.split())
        for name, text in re.findall(r"^    (\w+): ((?:.|\n {5,})+)", _listed(subject), flags=re.MULTILINE)
    }
    yield "| field | type | |"
    yield "|---|---|---|"
    for item in fields(subject):
        kind = _type(item.type).replace("|", "or")
        yield f"| `{item.name}` | `{kind}` | {_inline(said.get(item.name, ''))} |"
    yield ""


def _type(kind: Any) -> str:
    return str(getattr(kind, "__forward_arg__", kind))


def _signature(name: str, subject: Callable[..., Any]) -> Iterator[str]:
    """Yield the call as code, an argument a line where it is long; types are told by the text."""
    shown = [_parameter(each) for each in _parameters(subject)]
    line = f"{name}({', '.join(shown)})"
    yield "```text"
    if len(line) <= 100:
        yield line
    else:
        yield f"{name}("
        yield from (f"    {each}," for each in shown)
        yield ")"
    yield "```"
    yield ""


def _parameters(subject: Callable[..., Any]) -> list[Any]:
    found = list(inspect.signature(subject).parameters.values())
    if found and found[0].name == "self":
        del found[0]
    marked: list[Any] = []
    for each in found:
        keyword = each.kind is inspect.Parameter.KEYWORD_ONLY
        if keyword and not any(item == "*" or getattr(item, "kind", None) is each.VAR_POSITIONAL for item in marked):
            marked.append("*")
        marked.append(each)
    return marked


def _parameter(each: Any) -> str:
    if isinstance(each, str):
        return each
    stars = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
    if each.default is each.empty:
        return f"{stars}{each.name}"
    default = "..." if repr(each.default).startswith("<") else repr(each.default)
    return f"{each.name}={default}"


def _text(subject: Any) -> Iterator[str]:
    """Yield a docstring as Markdown."""
    lines = inspect.cleandoc(inspect.getdoc(subject) or "").splitlines()
    at = 0
    while at < len(lines):
        begun = _SECTION.match(lines[at])
        if begun is None:
            at = yield from _paragraph(lines, at)
            continue
        body = []
        at += 1
        while at < len(lines) and (not lines[at] or lines[at].startswith("    ")):
            body.append(lines[at][4:])
            at += 1
        while body and not body[-1]:
            del body[-1]
        yield from _example(body, begun[2]) if begun[1] == "Example" else _list(begun[1], body)
        yield ""


def _paragraph(lines: list[str], at: int) -> Generator[str, None, int]:
    """Yield a paragraph or a literal block; return the number of the line behind it."""
    line = lines[at]
    if line.startswith(">>>"):
        yield "```pycon"
        while at < len(lines) and lines[at]:
            yield lines[at]
            at += 1
        yield "```"
        yield ""
        return at
    yield _inline(line.removesuffix(":") if line.endswith("::") else line)
    at += 1
    if line.endswith("::"):
        yield ""
        yield "```text"
        while at < len(lines) and not lines[at]:
            at += 1
        while at < len(lines) and (not lines[at] or lines[at].startswith("    ")):
            if lines[at] or (at + 1 < len(lines) and lines[at + 1].startswith("    ")):
                yield lines[at][4:]
            at += 1
        yield "```"
        yield ""
    elif at == len(lines):
        yield ""
    return at


def _example(body: list[str], literal: str) -> Iterator[str]:
    yield "```text" if literal else "```pycon"
    yield from body[1:] if body and not body[0] else body
    yield "```"


def _list(title: str, body: list[str]) -> Iterator[str]:
    yield f"{title}:"
    yield ""
    if title == "Returns":
        yield _inline(" ".join(line.strip() for line in body))
        return
    item = ""
    for line in [*body, "end"]:
        if line.startswith(" "):
            item += f" {line.strip()}"
            continue
        if item:
            name, _, text = item.partition(":")
            yield f"- `{name}`:{_inline(text)}"
        item = line


def _inline(text: str) -> str:
    return _ROLE.sub(r"`\1`", text).replace("``", "`")


if __name__ == "__main__":
    PAGE.write_text(written(), encoding="utf-8")
