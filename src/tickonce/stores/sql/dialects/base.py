"""What every dialect answers. One implementation of each verb is written against it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from tickonce.ports import Clock, Notifier
from tickonce.stores.sql.address import TABLES, Address
from tickonce.stores.sql.text import Insert, Update, named

if TYPE_CHECKING:
    from tickonce.stores.sql.tx import Row, Tx

T = TypeVar("T")
Send = Callable[..., None]


#: How long is waited between two tries for a database that is locked as a whole: shortly, and never in step.
LOCKED_PAUSE_US = (500, 2500)


class Failure(Enum):
    """What a driver's error means for us."""

    TRANSIENT = "transient"  # deadlock, serialization: the whole step is tried again
    BUSY = "busy"  # a row or file stayed locked for longer than we wait
    LOST = "lost"  # the connection is gone; what was sent may have happened
    TIMEOUT = "timeout"  # no answer within the deadline
    DOWN = "down"  # the server answers, and cannot serve: read-only, full, shutting down
    CONTENT = "content"  # a value that the database refuses
    DUPLICATE = "duplicate"  # a key that is there already
    SCHEMA = "schema"  # a table or column that is not there
    OTHER = "other"


class Mode(Enum):
    """What a step needs of its connection."""

    READ = "read"  # statements that each stand alone
    ONE = "one"  # one statement that writes, and comes to the same when it is repeated
    WRITE = "write"  # several statements, all or none


class Locked(Exception):
    """Somebody else has the whole database locked; the step has not begun, and may be tried again at once.

    Its text is what is told when that lasts, with a place for how many seconds.
    """


class Link(ABC):
    """One connection of ours.

    Attributes:
        committing: Whether the commit of the last step was sent: what it did may stand even if the reply is lost.
        used: Whether a step has succeeded on it: it may have died of age since.
    """

    committing = False
    used = False

    @abstractmethod
    def step(self, work: Callable[[Tx], T], mode: Mode) -> T:
        """Carry out *work*; whatever it raises, nothing stays open."""

    @abstractmethod
    def plain(self) -> Any:
        """Give the driver's connection away, in the state that SQLAlchemy expects; this object is then done with."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection; never raises."""


class Dialect(ABC):
    """How one database is spoken to.

    Attributes:
        title: The product's name, for messages.
        extra: The extra of the package that brings the driver.
        notifies: Whether a notifier tells of changes soon, as far as is known before a connection.
        local: Whether the instant is this machine's wall clock.
        whole_file: Whether there are no locks on rows, only one on everything.
        look_first: Whether a locking read of a row that is not there must be avoided: it would lock the gap.
        updates_in_queries: Whether an update can stand in a WITH, so that one statement does both.
        stale_reads: Whether in a caller's transaction plain reads may show an older state than locking reads.
    """

    title: ClassVar[str]
    extra: ClassVar[str] = ""
    notifies: bool = False
    local: ClassVar[bool] = False
    whole_file: ClassVar[bool] = False
    look_first: ClassVar[bool] = False
    stale_reads: ClassVar[bool] = False
    updates_in_queries: ClassVar[bool] = False
    #: How values and lists are written, see ``text.named``.
    value: ClassVar[str]
    any_of: ClassVar[str]
    any_int: ClassVar[str]
    none_of: ClassVar[str]
    #: Words in braces, beside the tables.
    words: ClassVar[Mapping[str, str]]

    def __init__(self, address: Address, clock: Clock) -> None:
        self.address = address
        self.clock = clock
        self._texts: dict[object, str] = {}
        tables = {name: address.names.table(name) for name in TABLES}
        # A word may hold tables itself.
        self._words = {**{name: _filled(word, tables) for name, word in self.words.items()}, **tables}

    # -- text and values -----------------------------------------------------------------------

    def text(self, text: str) -> str:
        """Return *text* as the driver takes it."""
        found = self._texts.get(text)
        if found is None:
            found = self._texts[text] = named(
                text.format_map(self._words),
                value=self.value,
                any_of=self.any_of,
                any_int=self.any_int,
                none_of=self.none_of,
            )
        return found

    def bound(self, values: dict[str, Any]) -> Any:
        """Return *values* as the driver takes them."""
        for name, value in values.items():
            if type(value) is list:
                values[name] = self.listed(value)
        return values

    @abstractmethod
    def listed(self, values: list[Any]) -> Any:
        """Return a list of texts, or of whole numbers, as a value."""

    def table(self, name: str) -> str:
        """Return a table's full name."""
        return self._words[name]

    def take_lock(self, tx: Tx, schedule_id: str) -> None:  # noqa: B027  # most need none
        """Take the lock that a caller's transaction needs before it reads, where a locking read is not to be had."""

    # -- bulk ----------------------------------------------------------------------------------

    @abstractmethod
    def many(self, send: Send, what: Insert | Update, rows: Sequence[Row]) -> None:
        """Insert or update rows by ``send(text, values, many=...)``."""

    @abstractmethod
    def insert_new(self, cursor: Any, insert: Insert, row: Row) -> bool:
        """Insert one row unless its key is there; return whether it was inserted."""

    # -- connections ---------------------------------------------------------------------------

    @abstractmethod
    def connect(self, deadline: timedelta) -> Link:
        """Return a new connection whose statements take at most *deadline*.

        Raises:
            MissingExtra: The driver is not installed.
            Exception: The driver's own, see ``failure``.
        """

    def empty(self) -> bool:
        """Whether it is known, without making anything, that there are no tables. False where one has to connect."""
        return False

    @abstractmethod
    def failure(self, error: BaseException) -> Failure | None:
        """Say what an error means; None when it is none of the database's."""

    # -- hints ---------------------------------------------------------------------------------

    def notify(self, tx: Tx, kind: str) -> None:  # noqa: B027  # not every database can
        """Send a notification with the transaction's commit, where the database has any."""

    def notifier(self) -> Notifier | None:
        """Return a new listener, or None."""
        return None

    # -- reports -------------------------------------------------------------------------------

    @abstractmethod
    def durability(self, tx: Tx) -> list[str]:
        """Return a line for each setting that can lose confirmed commits."""


def _filled(word: str, tables: Mapping[str, str]) -> str:
    for name, table in tables.items():
        word = word.replace(f"{{{name}}}", table)
    return word
