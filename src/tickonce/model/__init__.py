"""The values that travel between people, planner, engine and stores; frozen, without behaviour that reads a clock.

All instants are aware datetimes in UTC with microseconds. One meaning a word: see the table of words in the docs.
"""

from tickonce.model.copies import change_with, node_with, run_with, schedule_with
from tickonce.model.identity import (
    BUCKETS,
    MAX_ID_BYTES,
    MAX_TOKEN_BYTES,
    NodeId,
    Token,
    bucket_of,
    check_id,
    manual_token,
    token_of,
)
from tickonce.model.nodes import Beat, Held, Launched, Node, Page, Poll, job_marks, knows_job
from tickonce.model.runs import Change, Fire, Outcome, Plan, Run, Skip
from tickonce.model.schedules import (
    DEFAULT_POLICY,
    LONGEST,
    NO_ARGUMENTS,
    TIMING,
    Declaration,
    Definition,
    Fold,
    Policy,
    Schedule,
)
from tickonce.model.words import OPEN, CutOff, Misfire, NodeState, OnLost, Overlap, Reason, RunState, ScheduleState

__all__ = [
    "BUCKETS",
    "DEFAULT_POLICY",
    "LONGEST",
    "MAX_ID_BYTES",
    "MAX_TOKEN_BYTES",
    "NO_ARGUMENTS",
    "OPEN",
    "TIMING",
    "Beat",
    "Change",
    "CutOff",
    "Declaration",
    "Definition",
    "Fire",
    "Fold",
    "Held",
    "Launched",
    "Misfire",
    "Node",
    "NodeId",
    "NodeState",
    "OnLost",
    "Outcome",
    "Overlap",
    "Page",
    "Plan",
    "Policy",
    "Poll",
    "Reason",
    "Run",
    "RunState",
    "Schedule",
    "ScheduleState",
    "Skip",
    "Token",
    "bucket_of",
    "change_with",
    "check_id",
    "job_marks",
    "knows_job",
    "manual_token",
    "node_with",
    "run_with",
    "schedule_with",
    "token_of",
]
