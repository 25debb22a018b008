"""Gap and fold as a choice of each trigger: a table to be read and to stay as it is."""

from __future__ import annotations

from datetime import UTC, datetime
from timeit import repeat
from zoneinfo import ZoneInfo

import pytest

from tickonce.errors import TriggerError
from tickonce.triggers import Cron, cron

NEW_YORK, LORD_HOWE, HAVANA, APIA = "America/New_York", "Australia/Lord_Howe", "America/Havana", "Pacific/Apia"
AFTER, SKIP, ONCE, BOTH = {"gap": "after"}, {"gap": "skip"}, {"fold": "once"}, {"fold": "both"}

# zone, expression, policy, asked after, the next fires as the wall shows them
TABLE = [
    # New York, 10 March 2024: 02:00 -> 03:00
    (NEW_YORK, "30 2 * * *", AFTER, "2024-03-09T12:00-05:00", ["2024-03-10T03:00-04:00", "2024-03-11T02:30-04:00"]),
    (NEW_YORK, "30 2 * * *", SKIP, "2024-03-09T12:00-05:00", ["2024-03-11T02:30-04:00"]),
    (NEW_YORK, "0 3 * * *", SKIP, "2024-03-09T12:00-05:00", ["2024-03-10T03:00-04:00", "2024-03-11T03:00-04:00"]),
    (NEW_YORK, "*/30 2 * * *", SKIP, "2024-03-09T12:00-05:00", ["2024-03-11T02:00-04:00"]),
    (NEW_YORK, "*/30 2 * * *", AFTER, "2024-03-09T12:00-05:00", ["2024-03-10T03:00-04:00", "2024-03-11T02:00-04:00"]),
    (NEW_YORK, "0 */2 * * *", AFTER, "2024-03-10T00:00-05:00", ["2024-03-10T03:00-04:00", "2024-03-10T04:00-04:00"]),
    (NEW_YORK, "30 2 10 3 *", SKIP, "2024-01-01T00:00-05:00", ["2025-03-10T02:30-04:00"]),
    # New York, 3 November 2024: 02:00 -> 01:00
    (NEW_YORK, "30 1 * * *", ONCE, "2024-11-02T12:00-04:00", ["2024-11-03T01:30-04:00", "2024-11-04T01:30-05:00"]),
    (NEW_YORK, "30 1 * * *", BOTH, "2024-11-02T12:00-04:00", ["2024-11-03T01:30-04:00", "2024-11-03T01:30-05:00"]),
    (NEW_YORK, "*/30 1 * * *", ONCE, "2024-11-03T01:10-04:00", ["2024-11-03T01:30-04:00", "2024-11-04T01:00-05:00"]),
    (NEW_YORK, "0 * * * *", ONCE, "2024-11-03T00:30-04:00", ["2024-11-03T01:00-04:00", "2024-11-03T02:00-05:00"]),
    # half an hour: 6 October 2024 02:00 -> 02:30, 7 April 02:00 -> 01:30
    (LORD_HOWE, "15 2 * * *", SKIP, "2024-10-05T12:00+10:30", ["2024-10-07T02:15+11:00"]),
    (LORD_HOWE, "45 1 * * *", BOTH, "2024-04-07T00:00+11:00", ["2024-04-07T01:45+11:00", "2024-04-07T01:45+10:30"]),
    # midnight: 10 March 2024 00:00 -> 01:00, 3 November 01:00 -> 00:00
    (HAVANA, "@daily", SKIP, "2024-03-09T12:00-05:00", ["2024-03-11T00:00-04:00"]),
    (HAVANA, "@daily", BOTH, "2024-11-02T12:00-04:00", ["2024-11-03T00:00-04:00", "2024-11-03T00:00-05:00"]),
    # a whole day, 30 December 2011
    (APIA, "0 9 * * *", SKIP, "2011-12-29T12:00-10:00", ["2011-12-31T09:00+14:00"]),
    (APIA, "0 */12 * * *", AFTER, "2011-12-29T06:00-10:00", ["2011-12-29T12:00-10:00", "2011-12-31T00:00+14:00"]),
]


@pytest.mark.parametrize(("tz", "expression", "policy", "after", "expected"), TABLE)
def test_table(tz, expression, policy, after, expected):
    trigger = cron(expression, tz=tz, **policy)
    instant = datetime.fromisoformat(after)
    for text in expected:
        found = trigger.next_after(instant)
        assert found is not None
        assert found.astimezone(ZoneInfo(tz)).isoformat() == datetime.fromisoformat(text).isoformat()
        instant = found


def test_a_policy_that_holds_anyway_is_no_other_trigger():
    assert cron("0 9 * * *", gap="after", fold="once") == cron("0 9 * * *")
    assert cron("* * * * *", gap="skip", fold="both") == cron("* * * * *")
    assert cron("0 9 * * *", gap="skip") != cron("0 9 * * *")
    assert cron("0 9 * * *").policies == ("after", "once")
    assert cron("* * * * *").policies == ("skip", "both")


def test_an_expression_made_of_the_rule_of_its_zone_is_left_out_for_ever_and_says_so_quickly():
    trigger = cron("30 2 * 3 sun#2", tz=NEW_YORK, gap="skip")
    after = datetime(2026, 1, 1, tzinfo=UTC)
    assert trigger.next_after(after) is None
    assert min(repeat(lambda: trigger.next_after(after), number=1, repeat=7)) < 0.001


@pytest.mark.parametrize(("gap", "fold"), [("before", None), ("", None), (None, "twice"), (None, "second")])
def test_other_policies_are_refused(gap, fold):
    with pytest.raises(TriggerError, match="is not a policy; allowed"):
        Cron("0 9 * * *", None, None, gap, fold)
