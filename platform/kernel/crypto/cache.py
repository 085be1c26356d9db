"""Unwrapped keys of this process, each for minutes."""

import math
import time
from collections.abc import Callable
from threading import Lock, local
from uuid import UUID

from kernel.crypto.errors import KeyUnavailable
from kernel.crypto.values import KeyEncryptionKey

CACHE_SECONDS = 300.0
# So long nobody asks again where a provider has just failed: else all threads would wait for it.
FAULT_SECONDS = 5.0
MAX_CACHED = 10_000


class KeyCache:
    """Each key for at most `CACHE_SECONDS`: one that is revoked at its provider stops working within that.

    Keys have the name that they are looked up by; `None` stands for the key that seals content now.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._kept: dict[tuple[UUID, object], tuple[float, KeyEncryptionKey | KeyUnavailable]] = {}
        self._lock = Lock()
        self._under_way = local()

    def get(self, organization_id: UUID, name: object) -> KeyEncryptionKey | None:
        """The key, unless it is unknown or too old. Raises the fault that the provider gave just now."""
        found = self._kept.get((organization_id, name))
        if found is None or self.clock() >= found[0]:
            return None
        if isinstance(found[1], KeyUnavailable):
            raise type(found[1])(found[1].message)
        self._used(found[0])
        return found[1]

    def find(
        self, organization_id: UUID, name: object, look_up: Callable[[], KeyEncryptionKey]
    ) -> KeyEncryptionKey:
        """The key as it is kept, or as it is looked up now."""
        key = self.get(organization_id, name)
        if key is not None:
            return key
        # From before the provider is asked: what it says may be as old.
        asked_at = self.clock()
        outside, self._under_way.until = self._until(), asked_at + CACHE_SECONDS
        try:
            key = look_up()
            until = self._until()
        except KeyUnavailable as fault:
            self._keep(organization_id, name, asked_at + FAULT_SECONDS, fault)
            raise
        finally:
            self._under_way.until = outside
        self._used(until)
        self._keep(organization_id, name, until, key)
        return key

    def _until(self) -> float:
        """How long what is being looked up may be kept: no longer than the keys that opened it."""
        until: float = getattr(self._under_way, "until", math.inf)
        return until

    def _used(self, until: float) -> None:
        self._under_way.until = min(self._until(), until)

    def forget(self, organization_id: UUID | None = None) -> None:
        """Drop one organization's keys, or all."""
        with self._lock:
            for place in list(self._kept):
                if organization_id in (None, place[0]):
                    del self._kept[place]

    def _keep(
        self, organization_id: UUID, name: object, until: float, found: KeyEncryptionKey | KeyUnavailable
    ) -> None:
        with self._lock:
            if len(self._kept) >= MAX_CACHED:
                self._kept.clear()
            self._kept[(organization_id, name)] = (until, found)


cache = KeyCache()
