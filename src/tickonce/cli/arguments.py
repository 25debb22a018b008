"""Arguments of a job, as people write them on a command line."""

from __future__ import annotations

import json
from typing import Any

from tickonce.cli.session import option
from tickonce.codec import decode, decode_arguments
from tickonce.errors import ConfigError

ARG = option(
    "--arg", multiple=True, metavar="NAME=VALUE", help="An argument by name; the value is JSON if it can be, else text."
)
ARGS = option("--args", metavar="JSON", help="All arguments: an object by name, or an array by position.")


def read_arguments(named: tuple[str, ...], whole: str | None) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """Return positional arguments and those by name, or None where none are given.

    Raises:
        ConfigError: An argument cannot be read.

    >>> read_arguments(("shop=eu", "days=3"), None)
    ((), {'shop': 'eu', 'days': 3})
    >>> read_arguments((), '[1, "two"]')
    ((1, 'two'), {})
    """
    if whole is None and not named:
        return None
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    if whole is not None:
        args, kwargs = _whole(whole)
    for text in named:
        name, equals, value = text.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ConfigError(f"--arg {text!r}: write NAME=VALUE, such as --arg shop=eu")
        kwargs[name.strip()] = _value(value)
    return args, kwargs


def changed_arguments(arguments: str, changes: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return *arguments*, in JSON, with those by name in *changes* put in place."""
    args, kwargs = decode_arguments(arguments)
    return args, {**kwargs, **changes}


def _whole(text: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    try:
        value = decode(text)
    except ValueError as error:
        raise ConfigError(f'--args: not JSON ({error}); write an object such as \'{{"shop": "eu"}}\'') from None
    match value:
        case dict() if all(isinstance(name, str) for name in value):
            return (), value
        case list():
            return tuple(value), {}
        case _:
            raise ConfigError(f"--args: an object (by name) or an array (by position) is needed, got {text[:60]!r}")


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    # NaN and the like are no JSON, though Python reads them.
    return text if isinstance(value, float) and value - value != 0 else value
