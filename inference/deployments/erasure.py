"""What the data plane keeps of an organization: its entries in the serving snapshot, and its counters."""

from uuid import UUID

from inference.deployments import snapshot
from inference.deployments.valkey import valkey
from kernel.ports.erasure import erases

SCAN = 1_000


@erases("serving")
def erase_serving(organization_id: UUID) -> None:
    """Stop serving the organization at once, and forget what it used. Raises `redis.RedisError`."""
    snapshot.withdraw(organization_id)
    names = list(valkey().scan_iter(match=f"lw:limit:{{{organization_id}}}:*", count=SCAN))
    if names:
        valkey().delete(*names)
