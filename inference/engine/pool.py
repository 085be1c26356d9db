"""The pool: at most N instances, started on demand, the least recently used evicted when idle."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic

from inference.engine.faults import EngineFault
from inference.engine.instances import Instance

log = logging.getLogger(__name__)

Start = Callable[[str], Awaitable[Instance]]


class Pool:
    """Hands out running instances by identity. One event loop only."""

    def __init__(self, start: Start, *, max_instances: int, idle_seconds: float) -> None:
        self._start, self._max, self._idle_seconds = start, max_instances, idle_seconds
        self._members: dict[str, Instance] = {}
        self._starting: set[str] = set()
        self._changed = asyncio.Condition()
        self._background: set[asyncio.Task[None]] = set()
        self.last_start_failed = False

    @property
    def members(self) -> list[Instance]:
        return list(self._members.values())

    @asynccontextmanager
    async def use(self, identity: str) -> AsyncIterator[Instance]:
        """Hold a running instance of `identity`, starting it when there is none.

        Raises what the start raises. Waits while every instance is busy with another identity.
        """
        instance = await self._acquire(identity)
        try:
            yield instance
        finally:
            await asyncio.shield(self._release(instance))

    async def retire(self, identity: str) -> None:
        """End the instance of `identity` as soon as nobody uses it; new users get a new one."""
        async with self._changed:
            if instance := self._members.get(identity):
                instance.retiring = True
                await self._evict_if_done(instance)

    async def evict_idle(self) -> None:
        """End the instances that nobody used for `idle_seconds`."""
        async with self._changed:
            for instance in self.members:
                if not instance.users and monotonic() - instance.used_at > self._idle_seconds:
                    await self._remove(instance)

    async def close(self) -> None:
        """End every instance."""
        async with self._changed:
            for instance in self.members:
                await self._remove(instance)
        for task in self._background:
            task.cancel()

    async def _acquire(self, identity: str) -> Instance:
        async with self._changed:
            while True:
                instance = self._members.get(identity)
                if instance and instance.alive and not instance.retiring:
                    instance.users += 1
                    return instance
                if instance is None and identity not in self._starting and await self._make_room():
                    self._starting.add(identity)
                    break
                await self._changed.wait()
        return await self._launch(identity)

    async def _launch(self, identity: str) -> Instance:
        instance = None
        try:
            instance = await self._start(identity)
            self.last_start_failed = False
        except EngineFault:
            self.last_start_failed = True
            raise
        finally:
            self._starting.discard(identity)
            if instance is not None:
                instance.users += 1
                self._members[identity] = instance
                self._watch(instance)
            async with self._changed:
                self._changed.notify_all()
        return instance

    async def _make_room(self) -> bool:
        if len(self._members) + len(self._starting) < self._max:
            return True
        idle = [member for member in self.members if not member.users]
        if idle:
            await self._remove(min(idle, key=lambda member: member.used_at))
            return True
        # All are busy: the one that has run longest takes no more requests, so that nobody starves.
        if self._members and not any(member.retiring for member in self.members):
            min(self.members, key=lambda member: member.started_at).retiring = True
        return False

    async def _release(self, instance: Instance) -> None:
        async with self._changed:
            instance.users -= 1
            instance.used_at = monotonic()
            await self._evict_if_done(instance)
            self._changed.notify_all()

    async def _evict_if_done(self, instance: Instance) -> None:
        if instance.retiring and not instance.users:
            await self._remove(instance)

    async def _remove(self, instance: Instance) -> None:
        if self._members.get(instance.identity) is instance:
            del self._members[instance.identity]
        await instance.stop()
        self._changed.notify_all()

    def _watch(self, instance: Instance) -> None:
        task = asyncio.create_task(self._forget_when_dead(instance))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _forget_when_dead(self, instance: Instance) -> None:
        code = await instance.process.wait()
        async with self._changed:
            if self._members.get(instance.identity) is instance:
                log.error("instance of %s ended by itself with status %s", instance.identity, code)
                await self._remove(instance)
