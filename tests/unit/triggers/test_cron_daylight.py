"""When the clocks change: a table of what fires, to be read and to stay as it is.

The rule is Debian's (cron(8), "Notes"): jobs at fixed times of day run once a day whatever the clocks do; jobs with
``*`` in front of minute or hour run by elapsed time. Every row was checked by hand against the zone's history.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from tickonce.triggers import cron

NEW_YORK, LONDON, LORD_HOWE = "America/New_York", "Europe/London", "Australia/Lord_Howe"
SAO_PAULO, HAVANA, CAIRO, SHANGHAI = "America/Sao_Paulo", "America/Havana", "Africa/Cairo", "Asia/Shanghai"
APIA, MONROVIA, CASABLANCA = "Pacific/Apia", "Africa/Monrovia", "Africa/Casablanca"

# zone, expression, asked after (wall time there), the next fires as the wall shows them
TABLE = [
    # New York, 10 March 2024: 02:00 -> 03:00
    (NEW_YORK, "30 2 * * *", "2024-03-09T12:00-05:00", ["2024-03-10T03:00-04:00", "2024-03-11T02:30-04:00"]),
    (NEW_YORK, "0 3 * * *", "2024-03-09T12:00-05:00", ["2024-03-10T03:00-04:00", "2024-03-11T03:00-04:00"]),
    (NEW_YORK, "0 2,3 * * *", "2024-03-10T01:00-05:00", ["2024-03-10T03:00-04:00", "2024-03-11T02:00-04:00"]),
    (NEW_YORK, "0,20,40 2 * * *", "2024-03-10T01:00-05:00", ["2024-03-10T03:00-04:00", "2024-03-11T02:00-04:00"]),
    (NEW_YORK, "30 2 10 3 *", "2024-01-01T00:00-05:00", ["2024-03-10T03:00-04:00", "2025-03-10T02:30-04:00"]),
    (NEW_YORK, "30 2 * * 0", "2024-03-04T00:00-05:00", ["2024-03-10T03:00-04:00", "2024-03-17T02:30-04:00"]),
    (
        NEW_YORK,
        "0 * * * *",
        "2024-03-10T00:30-05:00",
        ["2024-03-10T01:00-05:00", "2024-03-10T03:00-04:00", "2024-03-10T04:00-04:00"],
    ),
    (NEW_YORK, "0 */2 * * *", "2024-03-09T23:30-05:00", ["2024-03-10T00:00-05:00", "2024-03-10T04:00-04:00"]),
    (NEW_YORK, "*/30 2 * * *", "2024-03-09T12:00-05:00", ["2024-03-11T02:00-04:00", "2024-03-11T02:30-04:00"]),
    # fixed, though it names every hour: what would have come at 02:00 comes with what comes at 03:00
    (
        NEW_YORK,
        "0 0-23 * * *",
        "2024-03-10T00:30-05:00",
        ["2024-03-10T01:00-05:00", "2024-03-10T03:00-04:00", "2024-03-10T04:00-04:00"],
    ),
    # New York, 3 November 2024: 02:00 -> 01:00
    (NEW_YORK, "30 1 * * *", "2024-11-02T12:00-04:00", ["2024-11-03T01:30-04:00", "2024-11-04T01:30-05:00"]),
    (NEW_YORK, "30 1 * * *", "2024-11-03T01:10-05:00", ["2024-11-04T01:30-05:00"]),  # asked in the second 01:10
    (NEW_YORK, "0 2 * * *", "2024-11-02T12:00-04:00", ["2024-11-03T02:00-05:00", "2024-11-04T02:00-05:00"]),
    (
        NEW_YORK,
        "0 * * * *",
        "2024-11-03T00:30-04:00",
        ["2024-11-03T01:00-04:00", "2024-11-03T01:00-05:00", "2024-11-03T02:00-05:00"],
    ),
    (
        NEW_YORK,
        "*/30 1 * * *",
        "2024-11-03T00:30-04:00",
        [
            "2024-11-03T01:00-04:00",
            "2024-11-03T01:30-04:00",
            "2024-11-03T01:00-05:00",
            "2024-11-03T01:30-05:00",
            "2024-11-04T01:00-05:00",
        ],
    ),
    (NEW_YORK, "0 0-23 * * *", "2024-11-03T00:30-04:00", ["2024-11-03T01:00-04:00", "2024-11-03T02:00-05:00"]),
    # London, 31 March 2024: 01:00 -> 02:00; 27 October: 02:00 -> 01:00
    (LONDON, "30 1 * * *", "2024-03-30T12:00+00:00", ["2024-03-31T02:00+01:00", "2024-04-01T01:30+01:00"]),
    (LONDON, "30 1 * * *", "2024-10-26T12:00+01:00", ["2024-10-27T01:30+01:00", "2024-10-28T01:30+00:00"]),
    (LONDON, "@hourly", "2024-10-27T00:30+01:00", ["2024-10-27T01:00+01:00", "2024-10-27T01:00+00:00"]),
    # Lord Howe, 6 October 2024: 02:00 -> 02:30; 7 April: 02:00 -> 01:30
    (LORD_HOWE, "15 2 * * *", "2024-10-05T12:00+10:30", ["2024-10-06T02:30+11:00", "2024-10-07T02:15+11:00"]),
    (LORD_HOWE, "45 1 * * *", "2024-04-06T12:00+11:00", ["2024-04-07T01:45+11:00", "2024-04-08T01:45+10:30"]),
    (
        LORD_HOWE,
        "*/15 1 * * *",
        "2024-04-07T01:20+11:00",
        [
            "2024-04-07T01:30+11:00",
            "2024-04-07T01:45+11:00",
            "2024-04-07T01:30+10:30",
            "2024-04-07T01:45+10:30",
            "2024-04-08T01:00+10:30",
        ],
    ),
    (LORD_HOWE, "0 * * * *", "2024-10-06T00:30+10:30", ["2024-10-06T01:00+10:30", "2024-10-06T03:00+11:00"]),
    # Sao Paulo, 15 October 2017: 00:00 -> 01:00; 19 February 2017: 00:00 -> 23:00 of the day before
    (SAO_PAULO, "@daily", "2017-10-14T12:00-03:00", ["2017-10-15T01:00-02:00", "2017-10-16T00:00-02:00"]),
    (SAO_PAULO, "30 0 15 10 *", "2017-10-14T12:00-03:00", ["2017-10-15T01:00-02:00", "2018-10-15T00:30-03:00"]),
    (SAO_PAULO, "0 0 * * 0", "2017-10-14T12:00-03:00", ["2017-10-15T01:00-02:00", "2017-10-22T00:00-02:00"]),
    (SAO_PAULO, "30 23 * * *", "2017-02-18T12:00-02:00", ["2017-02-18T23:30-02:00", "2017-02-19T23:30-03:00"]),
    (SAO_PAULO, "30 23 * * *", "2017-02-18T23:10-03:00", ["2017-02-19T23:30-03:00"]),
    (SAO_PAULO, "30 * 18 2 *", "2017-02-18T23:10-02:00", ["2017-02-18T23:30-02:00", "2017-02-18T23:30-03:00"]),
    (SAO_PAULO, "@daily", "2017-02-18T12:00-02:00", ["2017-02-19T00:00-03:00", "2017-02-20T00:00-03:00"]),
    # Havana, 10 March 2024: 00:00 -> 01:00; 3 November: 01:00 -> 00:00 of the same day
    (HAVANA, "@daily", "2024-03-09T12:00-05:00", ["2024-03-10T01:00-04:00", "2024-03-11T00:00-04:00"]),
    (HAVANA, "@weekly", "2024-03-09T12:00-05:00", ["2024-03-10T01:00-04:00", "2024-03-17T00:00-04:00"]),
    (HAVANA, "@daily", "2024-11-02T12:00-04:00", ["2024-11-03T00:00-04:00", "2024-11-04T00:00-05:00"]),
    (HAVANA, "*/20 0 3 11 *", "2024-11-03T00:30-04:00", ["2024-11-03T00:40-04:00", "2024-11-03T00:00-05:00"]),
    # Cairo, 26 April 2024: 00:00 -> 01:00; 1 November: 00:00 -> 23:00 of 31 October
    (CAIRO, "0 0 * * *", "2024-04-25T12:00+02:00", ["2024-04-26T01:00+03:00", "2024-04-27T00:00+03:00"]),
    (CAIRO, "0 0 * * 5", "2024-04-25T12:00+02:00", ["2024-04-26T01:00+03:00", "2024-05-03T00:00+03:00"]),
    (CAIRO, "30 23 31 10 *", "2024-10-31T12:00+03:00", ["2024-10-31T23:30+03:00", "2025-10-31T23:30+02:00"]),
    # Shanghai has not changed its clocks since 1991; in 1986 it did on 4 May: 02:00 -> 03:00
    (SHANGHAI, "0 9 * * 1-5", "2026-11-20T09:00+08:00", ["2026-11-23T09:00+08:00", "2026-11-24T09:00+08:00"]),
    (SHANGHAI, "30 2 * * *", "1986-05-03T12:00+08:00", ["1986-05-04T03:00+09:00", "1986-05-05T02:30+09:00"]),
    # Casablanca goes back for the month of fasting: 10 March 2024 03:00 -> 02:00, 14 April 02:00 -> 03:00
    (CASABLANCA, "30 2 * * *", "2024-03-10T00:00+01:00", ["2024-03-10T02:30+01:00", "2024-03-11T02:30+00:00"]),
    (CASABLANCA, "30 2 * * *", "2024-04-14T00:00+00:00", ["2024-04-14T03:00+01:00", "2024-04-15T02:30+01:00"]),
    # Apia left out 30 December 2011 to be on the other side of the date line
    (
        APIA,
        "0 9 * * *",
        "2011-12-29T12:00-10:00",
        ["2011-12-31T00:00+14:00", "2011-12-31T09:00+14:00", "2012-01-01T09:00+14:00"],
    ),
    (APIA, "0 9 30 12 *", "2011-12-01T00:00-10:00", ["2011-12-31T00:00+14:00", "2012-12-30T09:00+14:00"]),
    (APIA, "0 */6 * * *", "2011-12-29T12:00-10:00", ["2011-12-29T18:00-10:00", "2011-12-31T00:00+14:00"]),
    # Monrovia left Monrovia Mean Time on 7 January 1972: 00:00:00 -> 00:44:30
    (MONROVIA, "0 0 * * *", "1972-01-06T12:00-00:44:30", ["1972-01-07T00:44:30+00:00", "1972-01-08T00:00+00:00"]),
    (MONROVIA, "*/30 * * * *", "1972-01-06T23:30-00:44:30", ["1972-01-07T01:00+00:00", "1972-01-07T01:30+00:00"]),
]


@pytest.mark.parametrize(("tz", "expression", "after", "expected"), TABLE)
def test_table(tz, expression, after, expected):
    trigger = cron(expression, tz=tz)
    instant = datetime.fromisoformat(after)
    shown = []
    for _ in expected:
        found = trigger.next_after(instant)
        assert found is not None
        instant = found
        shown.append(found.astimezone(ZoneInfo(tz)))
    assert [each.isoformat() for each in shown] == [datetime.fromisoformat(each).isoformat() for each in expected]


def test_each_row_asks_at_a_time_that_the_zone_knows():
    for tz, _, after, expected in TABLE:
        for text in (after, *expected):
            written = datetime.fromisoformat(text)
            assert written.astimezone(ZoneInfo(tz)).utcoffset() == written.utcoffset(), (tz, text)
