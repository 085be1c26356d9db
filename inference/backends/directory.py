"""One client per model server, made on first use."""

from inference.backends.faults import Unreachable
from inference.backends.interface import Backend, BackendAddress, Timeouts
from inference.backends.tgi import TgiBackend

_KINDS = {"tgi": TgiBackend}


class BackendDirectory:
    """Keeps the clients, so that their connections are shared by all requests of this process."""

    def __init__(self, *, key: str, timeouts: Timeouts) -> None:
        self._key, self._timeouts = key, timeouts
        self._backends: dict[tuple[str, str], Backend] = {}

    def at(self, address: BackendAddress) -> Backend:
        """The client for this address. Raises `Unreachable` for a kind that this build does not speak."""
        place = (address.kind, address.url)
        backend = self._backends.get(place)
        if backend is None:
            make = _KINDS.get(address.kind)
            if make is None:
                raise Unreachable(f"No client for model servers of kind {address.kind!r}.")
            backend = self._backends[place] = make(address.url, key=self._key, timeouts=self._timeouts)
        return backend

    async def aclose(self) -> None:
        """Close every client."""
        backends, self._backends = list(self._backends.values()), {}
        for backend in backends:
            await backend.aclose()
