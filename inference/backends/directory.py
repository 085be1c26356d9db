"""One client per model server, made on first use."""

from collections.abc import Callable

from inference.backends.faults import Unreachable
from inference.backends.interface import Backend, BackendAddress, Timeouts
from inference.backends.openai import OpenAiBackend
from inference.backends.openai_words import abilities_of as openai_abilities_of
from inference.backends.tgi import ABILITIES as TGI_ABILITIES
from inference.backends.tgi import TgiBackend

_KINDS: dict[str, Callable[..., Backend]] = {"tgi": TgiBackend, "openai": OpenAiBackend}


def abilities_of(address: BackendAddress) -> frozenset[str]:
    """What its kind always can, and what the control plane vouches for."""
    if address.kind == "tgi":
        return address.features | TGI_ABILITIES
    return address.features | (openai_abilities_of(address) if address.kind == "openai" else frozenset())


class BackendDirectory:
    """Keeps the clients, so that their connections are shared by all requests of this process."""

    def __init__(self, *, key: str, timeouts: Timeouts) -> None:
        self._key, self._timeouts = key, timeouts
        self._backends: dict[BackendAddress, Backend] = {}

    def at(self, address: BackendAddress) -> Backend:
        """The client for this address. Raises `Unreachable` for a kind that this build does not speak."""
        backend = self._backends.get(address)
        if backend is None:
            make = _KINDS.get(address.kind)
            if make is None:
                raise Unreachable(f"No client for model servers of kind {address.kind!r}.")
            backend = self._backends[address] = make(address, key=self._key, timeouts=self._timeouts)
        return backend

    async def forget(self, address: BackendAddress) -> None:
        """Close the client of a server that is no longer in use. What runs on it runs to its end."""
        backend = self._backends.pop(address, None)
        if backend is not None:
            await backend.aclose()

    async def aclose(self) -> None:
        """Close every client at once."""
        backends, self._backends = list(self._backends.values()), {}
        for backend in backends:
            await backend.aclose(at_once=True)
