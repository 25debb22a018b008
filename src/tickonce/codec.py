"""Arguments and results as JSON, with a few tagged types; never pickle.

What JSON cannot say is tagged: ``{"$date": "2026-11-21"}``, ``$datetime``, ``$time``, ``$timedelta`` (days, seconds,
microseconds), ``$decimal``, ``$uuid``, ``$bytes`` (base64), ``$tuple``, ``$set``, ``$frozenset``. A mapping that itself
has a key with ``$`` in front is wrapped as ``{"$map": [[key, value], ...]}``: nothing that people pass can be mistaken
for a tag.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any
from uuid import UUID

#: What is kept of a result or traceback, in bytes of UTF-8.
KEPT_BYTES = 64 * 1024
#: What arguments may have, in bytes of UTF-8.
ARGUMENT_BYTES = 256 * 1024

#: What ``encode_arguments`` writes for a call without any.
_NO_ARGUMENTS = '{"args":[],"kwargs":{}}'

_PLAIN = (str, bool, int, type(None))

_ENCODE: tuple[tuple[type, str, Callable[[Any], Any]], ...] = (
    (datetime, "$datetime", datetime.isoformat),  # before date: a datetime is a date
    (date, "$date", date.isoformat),
    (time, "$time", time.isoformat),
    (timedelta, "$timedelta", lambda value: [value.days, value.seconds, value.microseconds]),
    (Decimal, "$decimal", str),
    (UUID, "$uuid", str),
    (bytes, "$bytes", lambda value: b64encode(value).decode()),
)

_DECODE: dict[str, Callable[[Any], Any]] = {
    "$datetime": datetime.fromisoformat,
    "$date": date.fromisoformat,
    "$time": time.fromisoformat,
    "$timedelta": lambda value: timedelta(*value),
    "$decimal": Decimal,
    "$uuid": UUID,
    "$bytes": b64decode,
    "$cut": str,
    "$tuple": lambda value: tuple(_untag(item) for item in value),
    "$set": lambda value: {_untag(item) for item in value},
    "$frozenset": lambda value: frozenset(_untag(item) for item in value),
    "$map": lambda value: {_untag(key): _untag(item) for key, item in value},
}


def encode(value: Any) -> str:
    """Return *value* as compact JSON text.

    Raises:
        ValueError: It holds something that JSON and the tags cannot say, with the path to it; NaN, infinity, lone
            surrogates and NUL among them, since databases refuse those.
    """
    return _dump(value)


def decode(text: str) -> Any:
    """Return the value that *text* stands for.

    Raises:
        ValueError: It is not what ``encode`` writes.
    """
    try:
        return _untag(json.loads(text, parse_constant=_no_constant))
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f"not readable: {error}") from error


def encode_arguments(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """Return a call's arguments as JSON text: the same text for the same arguments, in whatever order they are named.

    Raises:
        ValueError: They are not JSON, or longer than 256 KB.
    """
    text = _dump({"args": list(args), "kwargs": dict(kwargs)}, sort_keys=True)
    if len(text.encode()) > ARGUMENT_BYTES:
        raise ValueError(
            f"they have {len(text.encode())} bytes, allowed are {ARGUMENT_BYTES}; pass a key and look it up"
        )
    return text


def decode_arguments(text: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return positional and keyword arguments.

    Raises:
        ValueError: The text is not what ``encode_arguments`` writes.
    """
    if text == _NO_ARGUMENTS:
        return (), {}
    value = decode(text)
    if not (isinstance(value, dict) and isinstance(value.get("args"), list) and isinstance(value.get("kwargs"), dict)):
        raise ValueError("arguments must be an object with 'args' and 'kwargs'")
    return tuple(value["args"]), value["kwargs"]


def encode_result(value: Any) -> str:
    """Return a job's result as JSON text of at most 64 KB; of a longer one the beginning is kept, as ``{"$cut": ...}``.

    Raises:
        ValueError: It is not JSON.
    """
    text = encode(value)
    if len(text.encode()) <= KEPT_BYTES:
        return text
    # Quotes and backslashes double when the text is quoted once more.
    return json.dumps({"$cut": text.encode()[: KEPT_BYTES // 2 - 64].decode(errors="ignore")}, ensure_ascii=False)


def keep(text: str) -> str:
    """Return *text* as a database takes it: NUL and lone surrogates replaced, cut in the middle to 64 KB."""
    raw = text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace")
    if len(raw) > KEPT_BYTES:
        # The end of a traceback says what happened, its beginning where it came from.
        half = KEPT_BYTES // 2 - 32
        raw = raw[:half] + b"\n... cut ...\n" + raw[-half:]
    return raw.decode(errors="replace")


def _dump(value: Any, *, sort_keys: bool = False) -> str:
    try:
        tagged = _tag(value, "$")
        text = json.dumps(tagged, ensure_ascii=False, allow_nan=False, sort_keys=sort_keys, separators=(",", ":"))
        text.encode()
    except RecursionError:
        raise ValueError("it is nested too deeply, or holds itself") from None
    except UnicodeEncodeError:
        raise ValueError("it holds text that is not valid Unicode (a lone surrogate)") from None
    return text


def _tag(value: Any, path: str) -> Any:
    if isinstance(value, str) and "\x00" in value:
        raise ValueError(f"{path} holds a NUL character, which databases refuse")
    if isinstance(value, bool | int | str | type(None)) and type(value) in _PLAIN:
        return value
    if isinstance(value, float):
        if not isfinite(value):
            raise ValueError(f"{path} is {value!r}, which JSON cannot hold")
        return value
    if isinstance(value, Mapping):
        return _tag_mapping(value, path)
    if isinstance(value, list):
        return [_tag(item, f"{path}[{at}]") for at, item in enumerate(value)]
    if isinstance(value, tuple):
        return {"$tuple": [_tag(item, f"{path}[{at}]") for at, item in enumerate(value)]}
    if isinstance(value, set | frozenset):
        tag = "$set" if isinstance(value, set) else "$frozenset"
        return {tag: sorted((_tag(item, f"{path}{{}}") for item in value), key=repr)}
    for kind, tag, write in _ENCODE:
        if isinstance(value, kind):
            return {tag: write(value)}
    if isinstance(value, str):  # a StrEnum, or any other kind of text, is what it equals
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    raise ValueError(f"{path} is a {type(value).__name__}, which is not JSON; pass its key or a plain value instead")


def _tag_mapping(value: Mapping[Any, Any], path: str) -> Any:
    if all(type(key) is str and not key.startswith("$") and "\x00" not in key for key in value):
        return {key: _tag(item, f"{path}.{key}") for key, item in value.items()}
    return {"$map": [[_tag(key, f"{path} key"), _tag(item, f"{path}[{key!r}]")] for key, item in value.items()]}


def _no_constant(name: str) -> Any:
    raise ValueError(f"not readable: JSON has no {name}")


def _untag(value: Any) -> Any:
    if isinstance(value, list):
        return [_untag(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((tag, body),) = value.items()
        if tag.startswith("$"):
            read = _DECODE.get(tag)
            if read is None:
                raise ValueError(f"unknown tag {tag!r}: written by a newer release?")
            return read(body)
    return {key: _untag(item) for key, item in value.items()}
