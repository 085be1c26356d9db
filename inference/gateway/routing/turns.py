"""Leases on servers: at once where there is room, else in turn.

Whatever may make room lets the next through: a request that ends or has read its prompt, and, for what nobody
tells of (another process's load, a server's own word, a probe), a look every 50 ms while anybody waits.
"""

import asyncio
import contextlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial

from inference.backends.interface import BackendAddress
from inference.gateway.routing.breaker import Clock
from inference.gateway.routing.fairness import Class
from inference.gateway.routing.replicas import Lease, Replica, key_of
from inference.gateway.routing.router import NoRoom, Router, Work, prompt_tokens_of
from inference.gateway.routing.waiting import Bounds, Claim, NoTurn, WaitingRoom

_LOOK_SECONDS = 0.05
_NO_ROOM = "The model is currently overloaded with other requests. Please retry shortly."


@dataclass(frozen=True, kw_only=True)
class Turn:
    """Whose request it is, and how long its caller waits for an answer to begin; None: as long as we do."""

    organization_id: str
    priority: Class = Class.INTERACTIVE
    patience_seconds: float | None = None


class Turns:
    """The waiting rooms of one process, one for each set of servers; there are only those that are in use."""

    def __init__(self, router: Router, *, clock: Clock, bounds: Bounds) -> None:
        self._router, self._clock, self._bounds = router, clock, bounds
        self._rooms: dict[frozenset[str], WaitingRoom] = {}
        self._look: asyncio.TimerHandle | None = None
        router.on_room = self._let_through

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return sum(room.requests for room in self._rooms.values())

    async def lease(
        self,
        backends: Sequence[BackendAddress],
        work: Work,
        turn: Turn,
        *,
        seconds: float,
        avoid: Collection[str] = (),
        again: bool = False,
    ) -> Lease:
        """A claim on one of the servers, none whose key is in `avoid`, within so many seconds.

        `again`: it had its turn, and the server had no room after all. Raises `NoTurn`, and `Unreachable` if
        no server is in use.
        """
        if not self._rooms or frozenset(map(key_of, backends)) not in self._rooms:
            with contextlib.suppress(NoRoom):
                return self._router.pick(backends, work, avoid=avoid)
        if seconds <= 0:
            raise NoTurn(_NO_ROOM, self._router.seconds_to_room(backends))
        pool = frozenset(map(key_of, backends))
        claim = Claim(
            organization_id=turn.organization_id,
            priority=turn.priority,
            tokens=prompt_tokens_of(work) + work.answer_tokens,
            bytes=max(len(work.prompt.encode()), work.prompt_tokens or 0),
            ask=partial(self._router.pick, backends, work, avoid=avoid),
        )
        try:
            return await self._wait(pool, claim, seconds, again=again)
        except NoTurn as fault:
            if fault.retry_after_seconds is None:
                fault.retry_after_seconds = self._router.seconds_to_room(backends)
            raise

    async def _wait(self, pool: frozenset[str], claim: Claim, seconds: float, *, again: bool) -> Lease:
        room = self._rooms.get(pool)
        if room is None:
            room = self._rooms[pool] = WaitingRoom(clock=self._clock, bounds=self._bounds)
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._look_again)
        try:
            return await room.wait(claim, seconds=seconds, again=again)
        finally:
            if not room.requests and self._rooms.get(pool) is room:
                del self._rooms[pool]

    def _let_through(self, replica: Replica) -> None:
        for pool, room in self._rooms.items():
            if replica.key in pool:
                room.let_through()

    def _look_again(self) -> None:
        self._look = None
        for room in self._rooms.values():
            room.let_through()
        if self._rooms:
            self._look = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._look_again)
