"""The parts in one class."""

from __future__ import annotations

from tickonce.testing.contract.claiming import AttemptContract, ClaimContract
from tickonce.testing.contract.edits import ChangeContract, RecreateContract, SettleContract
from tickonce.testing.contract.finishing import FinishContract
from tickonce.testing.contract.identity import IdentityContract, RoundTripContract, UnknownContract
from tickonce.testing.contract.launching import LaunchContract
from tickonce.testing.contract.life import LifeContract, NotifierContract
from tickonce.testing.contract.locks import LockContract
from tickonce.testing.contract.looking import LookingContract
from tickonce.testing.contract.nodes import NodesContract
from tickonce.testing.contract.races import RaceContract
from tickonce.testing.contract.reading import ListContract
from tickonce.testing.contract.recovering import CancelContract, LapseContract, RecoverContract, RetryContract
from tickonce.testing.contract.upkeep import ClockContract, PruneContract, SeenContract, WatermarkContract


class StoreContract(
    LifeContract,
    NotifierContract,
    NodesContract,
    LookingContract,
    LaunchContract,
    ClaimContract,
    AttemptContract,
    FinishContract,
    RecoverContract,
    LapseContract,
    CancelContract,
    RetryContract,
    ChangeContract,
    SettleContract,
    RecreateContract,
    IdentityContract,
    RoundTripContract,
    UnknownContract,
    ListContract,
    WatermarkContract,
    SeenContract,
    PruneContract,
    ClockContract,
    LockContract,
    RaceContract,
):
    """The whole contract. Subclasses provide a pytest fixture ``store``: empty and prepared."""
