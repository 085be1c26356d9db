"""The pod: one base, its adapters, the instances that serve them, and what is counted."""

import asyncio
import contextlib
import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from inference.engine.adapters import Adapters
from inference.engine.base import Base
from inference.engine.faults import CannotStart
from inference.engine.generation import Ending, Generator
from inference.engine.identity_probe import effect_of
from inference.engine.instances import Instance, Launcher
from inference.engine.metrics import Metrics
from inference.engine.pool import Pool
from inference.engine.settings import Limits, Settings
from inference.engine.template import ChatTemplate

log = logging.getLogger(__name__)

_SWEEP_SECONDS = 2.0
_SOCKET_NAME_BYTES = 90


class Pod:
    """Everything the routes need. Make it before the event loop, `open` it inside."""

    def __init__(self, settings: Settings, base: Base, run_dir: Path) -> None:
        self.base, self.settings = base, settings
        self.limits: Limits = settings.limits
        self.metrics = Metrics()
        self.adapters = Adapters(settings.state_dir / "adapters", base, self.limits)
        self.pool = Pool(
            self._start,
            max_instances=self.limits.max_instances,
            idle_seconds=self.limits.idle_seconds,
        )
        self.generator = Generator(base, self.pool, self.limits, self.metrics)
        self.template = ChatTemplate(base)
        self.draining = False
        self._launcher = Launcher(
            gguf=base.gguf,
            run_dir=run_dir,
            context_tokens=self.limits.held_tokens,
            slots=self.limits.slots_per_instance,
            adapter_slots=self.limits.adapter_slots,
            start_seconds=self.limits.start_seconds,
        )
        self._sweeper: asyncio.Task[None] | None = None

    @property
    def version(self) -> str:
        """The version of TGI whose protocol this is."""
        return "3.3.6"

    async def open(self) -> None:
        """Start what runs in the background."""
        self._sweeper = asyncio.create_task(self._sweep())

    async def close(self) -> None:
        """Take no more requests and leave no child."""
        self.draining = True
        if self._sweeper:
            self._sweeper.cancel()
        await self.pool.close()

    def identity_of(self, adapter_id: str | None) -> str:
        """Return what serves `adapter_id`; raise `InvalidInput` when this pod does not have it."""
        if adapter_id is None:
            return self.base.identity
        self.adapters.require(adapter_id)
        return adapter_id

    def count(self, ending: Ending, queued_seconds: float, seconds: float) -> None:
        """Count one finished generation."""
        inference = seconds - queued_seconds
        self.metrics.successes += 1
        self.metrics.observe("duration", seconds)
        self.metrics.observe("queue_duration", queued_seconds)
        self.metrics.observe("inference_duration", inference)
        self.metrics.observe("mean_time_per_token_duration", inference / max(1, ending.generated_tokens))
        self.metrics.observe("input_length", ending.input_length)
        self.metrics.observe("generated_tokens", ending.generated_tokens)

    def gauges(self) -> dict[str, float]:
        """Return the figures of this moment: waiting and running requests, instances, adapters."""
        members = self.pool.members
        tokens = self.limits.context_tokens
        running = sum(member.plan.slots - member.capacity.free_slots for member in members)
        return {
            "tgi_queue_size": self.generator.running - running,
            "tgi_batch_current_size": running,
            "tgi_batch_current_max_tokens": sum(tokens - member.capacity.free_tokens for member in members),
            "loomworks_pod_instances": len(members),
            "loomworks_pod_adapters": len(self.adapters),
        }

    async def _start(self, identity: str) -> Instance:
        if identity == self.base.identity:
            return await self._launcher.start(identity, None)
        adapter = self.adapters.require(identity)
        instance = await self._launcher.start(identity, adapter.gguf)
        try:
            adapter.effect = await effect_of(instance)
        except BaseException:
            await instance.stop()
            raise
        return instance

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            await self.pool.evict_idle()


@contextlib.contextmanager
def state_held(state_dir: Path) -> Iterator[Path]:
    """Hold the state folder alone and yield a private folder for sockets; `CannotStart` if it is taken."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        state_dir.chmod(0o700)
        descriptor = os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as fault:
        raise CannotStart(f"The state folder {state_dir} cannot be used: {fault.strerror}.") from fault
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as fault:
        os.close(descriptor)
        raise CannotStart(f"Another pod is using the state folder {state_dir}.") from fault
    run_dir = _fresh_run_dir(state_dir)
    try:
        yield run_dir
    finally:
        shutil.rmtree(run_dir, ignore_errors=True)
        os.close(descriptor)


def _fresh_run_dir(state_dir: Path) -> Path:
    inside = state_dir.absolute() / "run"
    shutil.rmtree(inside, ignore_errors=True)
    # A unix socket's path has at most 107 bytes.
    if len(os.fsencode(inside)) > _SOCKET_NAME_BYTES:
        return Path(tempfile.mkdtemp(prefix="pod-"))
    inside.mkdir(mode=0o700)
    return inside
