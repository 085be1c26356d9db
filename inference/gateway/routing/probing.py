"""Health probes, for what traffic does not tell: replicas at rest, and replicas that failed."""

import asyncio
import time

from inference.backends.directory import BackendDirectory
from inference.backends.faults import BackendFault
from inference.gateway.routing.replicas import Replica
from inference.gateway.routing.router import Router
from inference.gateway.workers import end


class Prober:
    """Asks `/health` now and then, and forgets the replicas that are gone."""

    def __init__(self, router: Router, directory: BackendDirectory, *, every_seconds: float) -> None:
        self._router, self._directory, self._every = router, directory, every_seconds
        self._worker: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to ask."""
        self._worker = asyncio.create_task(self._probe_forever(), name="gateway-probes")

    async def stop(self) -> None:
        """End."""
        await end([self._worker])

    async def _probe_forever(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            await asyncio.gather(
                *(self._probe(one) for one in list(self._router.replicas) if self._wants(one))
            )
            for address in self._router.sweep():
                await self._directory.forget(address)

    def _wants(self, replica: Replica) -> bool:
        """Whoever failed is asked, and, where there is a choice, whoever was not heard of lately."""
        silent = time.monotonic() - replica.heard_at >= self._every
        return replica.doubtful or (self._router.has_choices and silent)

    async def _probe(self, replica: Replica) -> None:
        try:
            healthy = await self._directory.at(replica.address).healthy()
        except BackendFault:
            healthy = False
        replica.probed(healthy=healthy)
