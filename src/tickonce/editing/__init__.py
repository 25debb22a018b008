"""What people and code do to a schedule: pure decisions, applied by a store inside one atomic step.

Every edit settles first: it deals with the fires at or before the instant by the old definition, and applies to fires
after it. So an edit never fires at once, never loses a fire and never doubles one.
"""

from tickonce.editing.declaring import Declare, Revert, older
from tickonce.editing.edits import Amend, Create, Pause, Remove, Resume, RunNow, SetAside
from tickonce.editing.rechecking import Recheck
from tickonce.editing.settling import SETTLE_LIMIT

__all__ = [
    "SETTLE_LIMIT",
    "Amend",
    "Create",
    "Declare",
    "Pause",
    "Recheck",
    "Remove",
    "Resume",
    "Revert",
    "RunNow",
    "SetAside",
    "older",
]
