"""Routing of one gateway process, put together: the router, what tells it, and what heeds it."""

import time

from redis.asyncio import Redis

from inference.backends.directory import BackendDirectory
from inference.gateway.contract import GatewayConfig
from inference.gateway.routing.dispatch import Dispatcher, Patience
from inference.gateway.routing.probing import Prober
from inference.gateway.routing.router import Router
from inference.gateway.routing.sharing import SharedLoad
from inference.gateway.routing.waiting import Bounds


class Fleet:
    """The model servers as one process sees them. `start` and `stop` run what watches them."""

    def __init__(self, config: GatewayConfig, directory: BackendDirectory, valkey: Redis) -> None:
        self.router = Router(room_tokens=config.room_tokens)
        self.dispatcher = Dispatcher(
            self.router,
            directory,
            patience=Patience(
                request=config.request_timeout_seconds,
                first_token=config.first_token_timeout_seconds,
                room=config.room_seconds,
            ),
            bounds=Bounds(requests=config.max_waiting_requests, bytes=config.max_waiting_bytes),
            clock=time.monotonic,
        )
        self._prober = Prober(self.router, directory, every_seconds=config.probe_seconds)
        self._shared = SharedLoad(valkey, self.router, every_seconds=config.share_load_seconds)

    async def start(self) -> None:
        """Begin to watch. Neither Valkey nor any server need be up."""
        await self._prober.start()
        await self._shared.start()

    async def stop(self) -> None:
        """End."""
        await self._prober.stop()
        await self._shared.stop()
