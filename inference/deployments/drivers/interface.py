"""What a driver does: bring models to where they run, and say what really answers there."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Protocol


class LoadFault(Exception):
    """A load did not succeed. `transient` tells whether the same load may succeed later."""

    code: ClassVar[str] = "load_failed"
    transient: ClassVar[bool] = False


class PodAway(LoadFault):
    """The pod does not answer, or is not ready."""

    code, transient = "pod_unreachable", True


class PodRefused(LoadFault):
    """The pod looked at the adapter and will not serve it."""

    code = "adapter_refused"


class WrongModel(LoadFault):
    """Another model than the one asked for answered the probe."""

    code = "identity_mismatch"


@dataclass(frozen=True)
class Fleet:
    """What runs: the base model's identity (`base-<digest>`) and the ids of the adapters held."""

    base: str
    adapters: frozenset[str]

    def serves(self, identity: str) -> bool:
        """Whether this identity would be answered for."""
        return identity == self.base or identity in self.adapters


class Driver(Protocol):
    """Where deployments run."""

    def look(self) -> Fleet:
        """What is there now. Raises `PodAway`."""
        ...

    def push(self, adapter_id: str, archive: Iterable[bytes]) -> None:
        """Hand over an adapter as a tar; one that is there already is no fault. Raises `LoadFault`."""
        ...

    def drop(self, adapter_id: str) -> None:
        """Remove an adapter; one that is not there is no fault. Raises `PodAway`."""
        ...

    def probe(self, identity: str) -> None:
        """Have it generate a little. Raises `WrongModel` unless exactly this identity answers."""
        ...
