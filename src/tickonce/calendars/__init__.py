"""Working days and holidays: sets of days, as far as they are known."""

from tickonce.calendars.base import Calendar, UnknownYear
from tickonce.calendars.files import read_calendar
from tickonce.calendars.specs import calendar_from_spec, holidays, own_calendar, workdays

__all__ = [
    "Calendar",
    "UnknownYear",
    "calendar_from_spec",
    "holidays",
    "own_calendar",
    "read_calendar",
    "workdays",
]
