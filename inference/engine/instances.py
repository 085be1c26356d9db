"""Instances: child processes, one per (base, adapter), each with its own queue of requests."""

import asyncio
import contextlib
import itertools
import json
import os
import secrets
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic

from inference.engine.faults import GenerationFailed

_names = itertools.count()


@dataclass(frozen=True)
class Plan:
    """What one instance serves and how; `instance_process` reads it as JSON."""

    gguf: str
    adapter: str | None
    socket: str
    key: str
    context_tokens: int
    slots: int
    parent: int


class Capacity:
    """Slots and context tokens of one instance, given in the order of asking.

    llama.cpp fails requests when its shared context runs out, so a request waits here until its
    input and all it may generate fit.
    """

    def __init__(self, slots: int, tokens: int) -> None:
        self.free_slots, self.free_tokens = slots, tokens
        self.waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def reserve(self, tokens: int) -> AsyncIterator[None]:
        """Hold one slot and `tokens` context tokens; wait in line for them."""
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append((tokens, place))
        self._admit()
        try:
            await place
        except asyncio.CancelledError:
            self._abandon(tokens, place)
            raise
        try:
            yield
        finally:
            self._give_back(tokens)

    def _admit(self) -> None:
        while self.waiting and self.free_slots and self.waiting[0][0] <= self.free_tokens:
            tokens, place = self.waiting.popleft()
            if not place.cancelled():
                self.free_slots -= 1
                self.free_tokens -= tokens
                place.set_result(None)

    def _abandon(self, tokens: int, place: asyncio.Future[None]) -> None:
        if place.done() and not place.cancelled():
            self._give_back(tokens)
        else:
            self.waiting = deque(entry for entry in self.waiting if entry[1] is not place)
            self._admit()

    def _give_back(self, tokens: int) -> None:
        self.free_slots += 1
        self.free_tokens += tokens
        self._admit()


class Instance:
    """A running child process and what it serves."""

    def __init__(self, identity: str, plan: Plan, process: asyncio.subprocess.Process) -> None:
        self.identity, self.plan, self.process = identity, plan, process
        self.capacity = Capacity(plan.slots, plan.context_tokens)
        self.users = 0
        self.retiring = False
        self.lost = False
        self.started_at = self.used_at = monotonic()

    @property
    def alive(self) -> bool:
        return self.process.returncode is None and not self.lost

    def give_up(self) -> None:
        """Take no more requests: its connection broke, which a dying process shows before its end is told."""
        self.lost = True
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    async def stop(self) -> None:
        """End the process at once: it keeps nothing worth saving."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.plan.socket)  # noqa: PTH108 - one system call, nothing to wait for


@dataclass(frozen=True)
class Launcher:
    """Starts instances of one base model in a private run folder."""

    gguf: Path
    run_dir: Path
    context_tokens: int
    slots: int
    adapter_slots: int
    start_seconds: float

    async def start(self, identity: str, adapter: Path | None) -> Instance:
        """Start an instance and return it once it answers; raise `GenerationFailed` when it does not."""
        plan = self._plan(adapter)
        log = self.run_dir / "instance.log"
        with log.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "inference.engine.instance_process"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                # An interrupt at the terminal reaches the front only: it drains, then ends its children.
                start_new_session=True,
            )
        instance = Instance(identity, plan, process)
        try:
            await asyncio.wait_for(_greet(process, plan), self.start_seconds)
        except (TimeoutError, OSError, EOFError) as fault:
            await instance.stop()
            raise GenerationFailed(f"the instance of {identity} did not start") from fault
        except asyncio.CancelledError:
            await instance.stop()
            raise
        return instance

    def _plan(self, adapter: Path | None) -> Plan:
        return Plan(
            gguf=str(self.gguf),
            adapter=str(adapter) if adapter else None,
            socket=str(self.run_dir / f"{next(_names)}.sock"),
            key=secrets.token_urlsafe(24),
            context_tokens=self.context_tokens,
            slots=self.adapter_slots if adapter else self.slots,
            parent=os.getpid(),
        )


async def _greet(process: asyncio.subprocess.Process, plan: Plan) -> None:
    if process.stdin is None or process.stdout is None:
        raise EOFError
    process.stdin.write(json.dumps(asdict(plan)).encode() + b"\n")
    await process.stdin.drain()
    process.stdin.close()
    # llama.cpp itself may write to stdout before the instance says that it is ready.
    while (line := await process.stdout.readline()) != b"ready\n":
        if not line:
            raise EOFError
