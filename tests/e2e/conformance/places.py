"""Where clients are pointed to: a gateway before a model server, in a thread of its own and by sockets."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal
from redis.asyncio import Redis

from inference.gateway.application import Gateway
from tests.e2e.conformance.playing import FEATURES, TEMPLATE, PlayingModel
from tests.e2e.conformance.witness import Witness
from tests.inference.gateway.house import Publisher, Tenant, ValkeyServer, config, deployment, served

MODEL = "support"


@dataclass(frozen=True)
class Address:
    """What a client has to know."""

    url: str
    api_key: str
    model: str

    @property
    def v1(self) -> str:
        """The base address of OpenAI's API."""
        return f"{self.url}/v1"

    @property
    def tgi(self) -> str:
        """The base address of TGI's API for the model."""
        return f"{self.url}/tgi/{self.model}"


@dataclass(frozen=True)
class Place(Address):
    """A gateway of our own: what it said to its clients, and how its tenant is limited."""

    witness: Witness
    publish: Callable[..., None]

    def limits(self, **limits: int) -> None:
        """Publish these limits of the organization in place of all others."""
        scoped = {"scope": "organization", "subject_id": ""}
        self.publish(*({"kind": kind, "value": value} | scoped for kind, value in limits.items()))


@asynccontextmanager
async def _standing(
    server: ValkeyServer, folder: Path, portal: BlockingPortal, pod_key: str, published: dict[str, Any]
) -> AsyncIterator[Place]:
    valkey: Redis = Redis.from_url(server.url, protocol=2)
    publisher, tenant = Publisher(valkey), Tenant.new()
    await publisher.key(tenant)
    await publisher.project(tenant, deployment(**published))
    await publisher.ready()
    witness = Witness(Gateway(config(server.url, folder / "spool", pod_key=pod_key)))

    def limit(*limits: dict[str, Any]) -> None:
        portal.call(publisher.limits, tenant, *limits)

    async with served(witness) as url:
        yield Place(url, tenant.secret, MODEL, witness, limit)
    await valkey.aclose()


@contextmanager
def _own_valkey(folder: Path) -> Iterator[ValkeyServer]:
    server = ValkeyServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def standing(folder: Path, *, pod_key: str = "pod-secret", **published: Any) -> Iterator[Place]:
    """A gateway whose tenant has the one model that is published so."""
    with _own_valkey(folder) as server, start_blocking_portal() as portal:
        place: AbstractAsyncContextManager[Place] = _standing(server, folder, portal, pod_key, published)
        with portal.wrap_async_context_manager(place) as found:
            yield found


@contextmanager
def playing(folder: Path) -> Iterator[Place]:
    """A gateway before the scripted model."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(PlayingModel()) as model:
        backend = {"kind": "tgi", "url": model.url, "features": list(FEATURES)}
        with standing(folder, backends=[backend], chat_template=TEMPLATE) as place:
            yield place
