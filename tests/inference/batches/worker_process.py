"""A worker to be killed: works on what waits in its own process, and stores answers every second."""

import signal

import django

django.setup()

from inference.batches.execution import progress, runner, turns  # noqa: E402 - models need the apps

progress.FLUSH_SECONDS = 1.0
signal.signal(signal.SIGTERM, lambda number, frame: turns.stopping.set())
print("turns", runner.run_waiting(), flush=True)
