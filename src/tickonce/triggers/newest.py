"""Triggers with the newest data of their calendars."""

from __future__ import annotations

from dataclasses import replace

from tickonce.triggers.base import Trigger


def with_newest_data(trigger: Trigger) -> Trigger:
    """Return *trigger* by the newest data of its calendars here, or itself where these know no more than it says.

    A calendar that holds says up to which year it knows its days (``known``); code with older data leaves it to others.
    """
    from tickonce.triggers.combine import Combined
    from tickonce.triggers.days import OnDays  # loads the calendars, for those who use them

    match trigger:
        case OnDays():
            inner, calendar = with_newest_data(trigger.trigger), trigger.calendar
            last = calendar.source.last_year() if calendar.known is not None else None
            if last is not None and calendar.known is not None and last > calendar.known:
                calendar = replace(calendar, known=last)
            same = inner is trigger.trigger and calendar is trigger.calendar
            return trigger if same else replace(trigger, trigger=inner, calendar=calendar)
        case Combined():
            parts = tuple(with_newest_data(part) for part in trigger.triggers)
            same = all(before is after for before, after in zip(trigger.triggers, parts, strict=True))
            return trigger if same else type(trigger)(parts)
        case _:
            return trigger
