"""The form of a schedule: what is written into it is tried out first, by the very rules that then apply."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from django import forms

from tickonce.bound import Bound
from tickonce.cli.texts import trigger_text, tz_of
from tickonce.codec import decode, decode_arguments, encode
from tickonce.contrib.django import models, scheduler
from tickonce.durations import format_duration
from tickonce.errors import BadArguments, BadId, ScheduleExists, TickonceError, TriggerError
from tickonce.model import Misfire, Overlap, Schedule
from tickonce.ports import Decide
from tickonce.triggers.zones import zone_name

#: Fields that go by their own name into ``add`` and ``update``.
_PLAIN = ("description", "owner", "queue", "priority", "misfire", "overlap", "jitter")


class ScheduleForm(forms.ModelForm):  # type: ignore[type-arg]  # generic for type checkers only
    """What a person may change of a schedule."""

    id = forms.CharField(max_length=190, required=True, help_text="Stays for good; without spaces and @ # ~ / ?")
    job = forms.ChoiceField()
    trigger = forms.CharField(
        label="When",
        help_text="Such as: 0 9 * * 1-5, every 5m, at 2026-12-01T09:00+08:00",
        widget=forms.TextInput(attrs={"size": 60}),
    )
    tz = forms.CharField(label="Time zone", required=False, help_text="Empty: the project's")
    arguments = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60}),
        help_text='JSON: {"name": "eu"} by name, or ["eu"] by position',
    )
    description = forms.CharField(required=False, widget=forms.TextInput(attrs={"size": 60}))
    owner = forms.CharField(required=False)
    tags = forms.CharField(required=False, help_text="With commas between")
    queue = forms.CharField(initial="default")
    priority = forms.IntegerField(initial=0, help_text="Of pending runs the highest goes first")
    misfire = forms.ChoiceField(
        label="Fires found late",
        choices=[
            (str(Misfire.LATEST), "run the newest"),
            (str(Misfire.ALL), "run each one"),
            (str(Misfire.SKIP), "run none"),
        ],
    )
    overlap = forms.ChoiceField(
        label="While a run is open",
        choices=[(str(Overlap.SKIP), "skip the fire"), (str(Overlap.ALLOW), "launch beside it")],
    )
    retries = forms.IntegerField(required=False, min_value=0, help_text="After the first try; empty: as the job says")
    timeout = forms.CharField(required=False, help_text="Such as 10m; empty: as the job says")
    jitter = forms.CharField(required=False, help_text="Such as 30s")
    revision = forms.IntegerField(required=False, widget=forms.HiddenInput)

    class Meta:  # noqa: D106  # Django's
        model = models.Schedule
        fields: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.before: Schedule | None = None
        names = set(scheduler.jobs.names())
        if self.instance.pk:
            self.before = scheduler.get(self.instance.pk)
            names.add(self.before.job)
            self.initial.update(_initial(self.before))
            self.fields["id"].disabled = True
        if "job" in self.fields:
            job: Any = self.fields["job"]
            job.choices = [(name, name) for name in sorted(names)]

    def clean(self) -> dict[str, Any]:
        """Try it out: nothing is written."""
        cleaned: dict[str, Any] = super().clean() or {}
        if self.errors:
            return cleaned
        try:
            self.apply(Bound(scheduler, _Rehearsal()))
        except (TickonceError, ValueError) as error:
            self.add_error(_field_of(error), str(error))
        return cleaned

    def _post_clean(self) -> None:
        """Do not check the model: its rows are not written by Django."""

    def apply(self, editor: Any) -> Schedule | None:
        """Make the change by *editor*: add a schedule, or update what has been changed in the form."""
        if self.before is None:
            return self._add(editor)
        changes = self._changes(set(self.changed_data))
        if not changes:
            return self.before
        revision = self.cleaned_data.get("revision")
        result: Schedule = editor.update(self.before.id, expected_revision=revision, **changes)
        return result

    def _add(self, editor: Any) -> Schedule:
        changes = self._changes({name for name, value in self.cleaned_data.items() if value not in ("", None)})
        added: Schedule = editor.add(self.cleaned_data["id"], changes.pop("job"), changes.pop("trigger"), **changes)
        return added

    def _changes(self, names: set[str]) -> dict[str, Any]:
        given = self.cleaned_data
        changes: dict[str, Any] = {name: given[name] for name in _PLAIN if name in names}
        if "jitter" in changes:
            changes["jitter"] = changes["jitter"] or "0s"
        if "job" in names:
            changes["job"] = given["job"]
        if names & {"trigger", "tz"}:
            changes["trigger"] = given["trigger"]
            if given["tz"]:
                changes["tz"] = zone_name(given["tz"])  # said here, as a trigger that needs no zone does not look
        if "arguments" in names:
            changes["args"], changes["kwargs"] = _read(given["arguments"])
        if "tags" in names:
            changes["tags"] = [tag.strip() for tag in given["tags"].split(",") if tag.strip()]
        if "retries" in names:
            retry = None if self.before is None else self.before.definition.policy.retry
            # The form shows how often; how long is waited in between stays as it is.
            changes["retries"] = given["retries"] if retry is None else replace(retry, times=given["retries"] or 0)
        if "timeout" in names:
            changes["timeout"] = given["timeout"] or None
        return changes


class _Rehearsal:
    """Edits that are decided, and not written."""

    def change(self, schedule_id: str, decide: Decide) -> Schedule | None:
        change = decide(scheduler.store.instant(), self.get(schedule_id), 0)
        return self.get(schedule_id) if change is None else change.schedule

    def get(self, schedule_id: str) -> Schedule | None:
        return scheduler.store.get(schedule_id)


def _initial(schedule: Schedule) -> dict[str, Any]:
    definition, policy = schedule.definition, schedule.definition.policy
    tz = tz_of(definition.trigger)
    return {
        "id": schedule.id,
        "job": definition.job,
        "trigger": trigger_text(definition.trigger).removesuffix(f" ({tz})"),
        "tz": tz or "",
        "arguments": _written(definition.arguments),
        "description": definition.description,
        "owner": definition.owner,
        "tags": ", ".join(definition.tags),
        "queue": definition.queue,
        "priority": definition.priority,
        "misfire": str(policy.misfire),
        "overlap": str(policy.overlap),
        "retries": None if policy.retry is None else policy.retry.times,
        "timeout": "" if policy.timeout is None else format_duration(policy.timeout),
        "jitter": format_duration(definition.jitter) if definition.jitter else "",
        "revision": schedule.revision,
    }


def _written(arguments: str) -> str:
    args, kwargs = decode_arguments(arguments)
    if args and kwargs:
        return encode({"args": list(args), "kwargs": kwargs})
    return encode(list(args)) if args else encode(kwargs) if kwargs else ""


def _read(text: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments that a person wrote.

    Raises:
        ValueError: It is no JSON, or neither an object nor an array.
    """
    if not text.strip():
        return (), {}
    try:
        value = decode(text)
    except ValueError as error:
        raise ValueError(f"arguments are not JSON: {error}") from None
    match value:
        case {"args": [*args], "kwargs": dict() as kwargs, **rest} if not rest:
            return tuple(args), kwargs
        case dict() as kwargs:
            return (), kwargs
        case [*args]:
            return tuple(args), {}
        case _:
            raise ValueError("arguments: write an object (by name) or an array (by position)")


def _field_of(error: Exception) -> str | None:
    match error:
        case BadId() | ScheduleExists():
            return "id"
        case TriggerError():
            return "trigger"
        case BadArguments():
            return "arguments"
        case TickonceError():
            return None
        case _:
            return "arguments"
