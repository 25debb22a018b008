"""Ids, tokens, buckets: what names a fire, and who may be called what."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from typing import TypeAlias

from tickonce.errors import BadId

BUCKETS = 1024
MAX_ID_BYTES = 190
MAX_TOKEN_BYTES = 255
_ILLEGAL = frozenset("@#~/?")

NodeId: TypeAlias = str
Token: TypeAlias = str


def token_of(schedule_id: str, scheduled_time: datetime) -> Token:
    """Return the token of a fire.

    >>> token_of("nightly", datetime(2026, 11, 21, 13, tzinfo=UTC))
    'nightly@2026-11-21T13:00:00Z'
    >>> token_of("fast", datetime(2026, 11, 21, 13, 0, 0, 250_000, tzinfo=UTC))
    'fast@2026-11-21T13:00:00.250000Z'
    """
    return f"{schedule_id}@{scheduled_time.astimezone(UTC).isoformat()[:-6]}Z"


def manual_token(schedule_id: str, key: str) -> Token:
    """Return the token of a run started by hand under an idempotency *key*.

    Raises:
        BadId: The key has illegal characters, or the token would be longer than 255 bytes.
    """
    try:
        check_id(key)
    except BadId as refused:
        raise BadId(refused.id, reason=str(refused).partition(": ")[2], what="a key") from None
    token = f"{schedule_id}@run-{key}"
    if len(token.encode()) > MAX_TOKEN_BYTES:
        reason = f"with the schedule's id the token is longer than {MAX_TOKEN_BYTES} bytes"
        raise BadId(key, reason=reason, what="a key")
    return token


@lru_cache(maxsize=4_096)
def bucket_of(schedule_id: str) -> int:
    """Return the bucket of a schedule: the first two bytes (big-endian) of blake2b-64 of its id, modulo 1024."""
    return int.from_bytes(blake2b(schedule_id.encode(), digest_size=8).digest()[:2]) % BUCKETS


def check_id(id: str) -> str:
    """Return *id* when it is legal.

    Raises:
        BadId: It is empty, longer than 190 bytes, not NFC, or has one of ``@ # ~ / ?``, white space or control
            characters.
    """
    if not isinstance(id, str):
        raise BadId(str(id), reason=f"ids are text, not {type(id).__name__}")
    if not id:
        raise BadId(id, reason="it is empty")
    try:
        size = len(id.encode())
    except UnicodeEncodeError:
        raise BadId(id, reason="it is not valid Unicode") from None
    if size > MAX_ID_BYTES:
        raise BadId(id[:40] + "...", reason=f"it has {size} bytes, allowed are {MAX_ID_BYTES}")
    for char in id:
        if char in _ILLEGAL or char.isspace() or unicodedata.category(char).startswith("C"):
            raise BadId(id, reason=f"{char!r} is not allowed (nor @ # ~ / ?, white space, control characters)")
    if not unicodedata.is_normalized("NFC", id):
        raise BadId(id, reason="it is not in Unicode form NFC; write unicodedata.normalize('NFC', id)")
    return id
