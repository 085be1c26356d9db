"""A trainer to be killed: `runner_process.py LEASE_SECONDS COMMAND…` runs what waits in its own process."""

import signal
import sys

import django

django.setup()

from training.jobs.execution import following, leases, runner  # noqa: E402 - models need the apps
from training.launchers.local import LocalLauncher  # noqa: E402

leases.LEASE_SECONDS = int(sys.argv[1])
leases.HEARTBEAT_SECONDS = 1
signal.signal(signal.SIGTERM, lambda number, frame: following.stopping.set())
done = runner.run_waiting_jobs(LocalLauncher(command=tuple(sys.argv[2:])))
print("ran", done, flush=True)
