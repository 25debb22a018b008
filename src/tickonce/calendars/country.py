"""Public holidays of countries and their parts, from the library holidays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tickonce.calendars.base import Year
from tickonce.errors import MissingExtra, TriggerError


@dataclass(frozen=True, slots=True)
class Country:
    """The public holidays of a country, or of a part of it.

    Attributes:
        code: ISO 3166 code of the country, such as ``DE``.
        subdivision: Code of a state or province, such as ``BY``; or empty.
    """

    code: str
    subdivision: str = ""

    def __post_init__(self) -> None:
        self._holidays(2020)

    def year(self, year: int) -> Year | None:
        """Return the holidays of *year*, or None where the library has none for it."""
        found = self._holidays(year)
        if not found.start_year <= year <= found.end_year:
            return None
        days = frozenset(day for day in found if day.year == year)
        # Some countries move weekends, and some work on a weekend for a day off in the week.
        workdays = frozenset(day for day in getattr(found, "weekend_workdays", ()) if day.year == year)
        return Year(days, workdays, frozenset(found.weekend))

    def last_year(self) -> int:
        """Return the last year that the library computes."""
        return int(self._holidays(2020).end_year)

    def weekend(self) -> frozenset[int]:
        """Return the weekend of the last year that is known."""
        return frozenset(self._holidays(self.last_year()).weekend)

    def spec(self) -> dict[str, object]:
        """Return the JSON form."""
        return {"country": self.code, **({"subdivision": self.subdivision} if self.subdivision else {})}

    def _holidays(self, year: int) -> Any:
        try:
            import holidays as library
        except ImportError:
            raise MissingExtra(f"the calendar of {self.code}", extra="calendars") from None
        try:
            return library.country_holidays(self.code, subdiv=self.subdivision or None, years=year)
        except NotImplementedError:
            known = library.list_supported_countries()
            parts = ", ".join(known.get(self.code, ())[:20])
            aside = f"; its parts are {parts}" if parts else "; countries have ISO codes such as DE or US"
            shown = f"{self.code}-{self.subdivision}" if self.subdivision else self.code
            raise TriggerError(f"country: no holidays are known for {shown[:40]!r}{aside}") from None
