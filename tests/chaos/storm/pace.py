"""The settings of the nodes in a storm, and the times that follow from them; seconds."""

from __future__ import annotations

LEASE_S = 6.0
BEAT_S = 2.0
TAKEOVER_AFTER_S = 1.0
#: Longest that a server, or the client's own deadline, leaves the rows of a silent process locked.
ROWS_LOCKED_S = 13.0
#: What is due in calm weather is begun within this: any node serves it after five times ``takeover_after``, and polls.
PROMPT_S = 7.0
#: From a kill to the next call of a run that the killed node held.
RECOVERED_WITHIN_S = LEASE_S + 2.0
#: From its due time to the first call of a fire that comes after a kill.
SERVED_WITHIN_S = TAKEOVER_AFTER_S + 1.0
#: A node that is cut off for less than this may not lose its lease.
HARMLESS_S = LEASE_S - BEAT_S - 1.0
#: Before a kill that is measured, nothing else has happened for this long: the others may judge by then.
CALM_BEFORE_S = LEASE_S + 2 * BEAT_S
#: And for this long behind it.
CALM_BEHIND_S = RECOVERED_WITHIN_S

SETTINGS = {"lease": f"{LEASE_S:g}s", "beat": f"{BEAT_S:g}s", "slots": 20, "drain": "10s"}
