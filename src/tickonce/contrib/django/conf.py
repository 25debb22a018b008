"""``settings.TICKONCE``: read, checked, with defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from tickonce.config import NodeConfig
from tickonce.errors import ConfigError, did_you_mean
from tickonce.settings import NodeSettings, node_config
from tickonce.stores.sql.address import DEFAULT_PREFIX, Names
from tickonce.triggers.zones import zone_name

Testing: TypeAlias = Literal["auto", "inline", "live"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectSettings:
    """What ``settings.TICKONCE`` says; settings of a node stand in it beside these, see ``NodeSettings``.

    Attributes:
        store: An alias of ``DATABASES``, or the URL of a store.
        prefix: Begins the names of the tables; with a URL, that says so itself.
        tz: Zone for triggers that name none; ``TIME_ZONE`` by default.
        release: The program's release, see ``Scheduler``.
        name: Who is written down as author of edits outside the admin.
        jobs: Name of the module that is looked for in every installed app; None looks for none.
        autostart: Whether a process that serves requests starts a node by itself.
        testing: ``inline`` is no node, and the store on the test's own connection, see
            ``tickonce.contrib.django.testing``; ``live`` is as in production; ``auto`` is ``inline`` while Django's
            test environment is set up.
        node: Settings of the node.
    """

    store: str = "default"
    prefix: str = DEFAULT_PREFIX
    tz: str = "UTC"
    release: str | None = None
    name: str | None = None
    jobs: str | None = "jobs"
    autostart: bool = False
    testing: Testing = "auto"
    node: NodeConfig = field(default_factory=NodeConfig)

    @property
    def alias(self) -> str | None:
        """The alias of ``DATABASES``, or None where the store is named by a URL."""
        return None if ":" in self.store else self.store


_KINDS: Mapping[str, tuple[type, ...]] = {
    "store": (str,),
    "prefix": (str,),
    "tz": (str,),
    "release": (str, type(None)),
    "name": (str, type(None)),
    "jobs": (str, type(None)),
    "autostart": (bool,),
    "testing": (str,),
}
_SAID = {str: "text", bool: "True or False", type(None): "None"}


def read(given: object, *, time_zone: str) -> ProjectSettings:
    """Return what ``settings.TICKONCE`` stands for.

    Args:
        given: The setting.
        time_zone: ``settings.TIME_ZONE``.

    Raises:
        ConfigError: A setting is unknown, of another kind, or out of its range.
        TriggerError: ``tz`` is no zone.
    """
    if not isinstance(given, Mapping):
        raise ConfigError(f"TICKONCE must be a dict, got {given!r:.60}")
    own: dict[str, Any] = {}
    node: dict[str, Any] = {}
    for name, value in given.items():
        if name in _KINDS:
            own[name] = _checked(name, value)
        elif name in NodeSettings.__annotations__:
            node[name] = value
        else:
            known = [*_KINDS, *NodeSettings.__annotations__]
            raise ConfigError(f"TICKONCE has no setting {name!r}.{did_you_mean(str(name), known)}")
    found = ProjectSettings(**{"tz": time_zone or "UTC", **own}, node=node_config(NodeConfig(), node))
    zone_name(found.tz)
    if found.alias is None and "prefix" in own:
        raise ConfigError("TICKONCE['prefix'] is for a store in DATABASES; a URL says it itself: ...?prefix=name_")
    Names(prefix=found.prefix)
    if not found.store:
        raise ConfigError("TICKONCE['store'] is empty; give an alias of DATABASES, or the URL of a store")
    return found


def _checked(name: str, value: object) -> object:
    kinds = _KINDS[name]
    if not isinstance(value, kinds):
        said = " or ".join(_SAID[kind] for kind in kinds)
        raise ConfigError(f"TICKONCE[{name!r}] must be {said}, got {value!r:.60}")
    if name == "testing" and value not in get_args(Testing):
        words = ", ".join(repr(word) for word in get_args(Testing))
        raise ConfigError(f"TICKONCE['testing'] must be one of {words}, got {value!r:.60}")
    return value
