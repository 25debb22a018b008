"""The store in the memory of one process: for tests, demonstrations, and the model that other stores are held to."""

from tickonce.stores.memory.store import MemoryStore

__all__ = ["MemoryStore"]
