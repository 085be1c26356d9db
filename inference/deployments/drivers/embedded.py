"""The driver of the embedded pod: a TGI server that takes adapters over HTTP."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from inference.deployments.drivers.interface import Fleet, PodAway, PodRefused, WrongModel

IDENTITY_HEADER = "x-adapter-id"
# A probe waits for an instance to start and for its turn among people's requests.
TIMEOUTS = httpx.Timeout(60.0, connect=5.0)
# What the pod says of itself rather than of the request.
PASSING = {401, 403, 408, 424, 429}


@dataclass(frozen=True)
class EmbeddedDriver:
    """Speaks to the pod at `url` with its bearer `key`."""

    url: str
    key: str = field(repr=False)

    def look(self) -> Fleet:
        """GET /adapters. Raises `PodAway`."""
        with self._client() as client, _named_faults():
            body = _checked(client.get("/adapters")).json()
        return Fleet(body["base"], frozenset(row["adapter_id"] for row in body["adapters"]))

    def push(self, adapter_id: str, archive: Iterable[bytes]) -> None:
        """PUT /adapters/{id}. Raises `PodAway`, `PodRefused`, and whatever reading the archive raises."""
        with self._client() as client, _named_faults():
            _checked(client.put(f"/adapters/{adapter_id}", content=archive))

    def drop(self, adapter_id: str) -> None:
        """DELETE /adapters/{id}. Raises `PodAway`."""
        with self._client() as client, _named_faults():
            answer = client.delete(f"/adapters/{adapter_id}")
            if answer.status_code != httpx.codes.NOT_FOUND:
                _checked(answer)

    def probe(self, identity: str) -> None:
        """POST /generate for one token. Raises `PodAway`, `PodRefused`, `WrongModel`."""
        parameters: dict[str, Any] = {"max_new_tokens": 1}
        if identity.startswith("adapter-"):
            parameters["adapter_id"] = identity
        with self._client() as client, _named_faults():
            answer = _checked(client.post("/generate", json={"inputs": "Hello", "parameters": parameters}))
        served_by = answer.headers.get(IDENTITY_HEADER)
        if served_by != identity:
            raise WrongModel(
                f"The pod answered with {served_by or 'an unnamed model'} instead of {identity}."
            )

    def _client(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=TIMEOUTS)


@contextmanager
def _named_faults() -> Iterator[None]:
    try:
        yield
    except httpx.HTTPError as fault:
        raise PodAway(f"The pod does not answer ({type(fault).__name__}).") from fault
    except (ValueError, KeyError, TypeError) as fault:
        raise PodAway("The pod's answer cannot be read.") from fault


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.status_code >= 500 or answer.status_code in PASSING:
        raise PodAway(f"The pod is not ready: {_reason(answer)}")
    if answer.status_code >= 400:
        raise PodRefused(f"The pod refused: {_reason(answer)}")
    return answer


def _reason(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"])[:300]
    except (ValueError, KeyError, TypeError):
        return f"HTTP status {answer.status_code}."
