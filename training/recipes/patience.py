"""Threads that sleep while they wait. To be imported before torch, whose OpenMP reads this as it loads."""

import os

# By default a waiting OpenMP thread spins. On a machine that also serves answers two spinning threads
# take the cores from each other and from the pods; asleep, they cost microseconds per operation.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
