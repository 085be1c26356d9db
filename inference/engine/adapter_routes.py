"""Beyond TGI: which adapters a pod keeps, and how they come and go without a restart."""

import asyncio

from inference.engine.exchange import Exchange
from inference.engine.pod import Pod

PREFIX = "/adapters/"


async def listing(exchange: Exchange, pod: Pod) -> None:
    """GET /adapters: what is kept, whether it runs, and whether it differs from the base."""
    running = {instance.identity for instance in pod.pool.members}
    rows = [adapter.body() | {"loaded": adapter.adapter_id in running} for adapter in pod.adapters.all()]
    await exchange.answer({"base": pod.base.identity, "adapters": rows})


async def put(exchange: Exchange, pod: Pod) -> None:
    """PUT /adapters/{id}: 201 when new, 200 when it was there."""
    adapter_id = exchange.path.removeprefix(PREFIX)
    limit = pod.limits.adapter_bytes + pod.limits.body_bytes
    adapter, new = await pod.adapters.put(adapter_id, exchange.body_pieces(limit))
    await exchange.answer(adapter.body(), status=201 if new else 200)


async def delete(exchange: Exchange, pod: Pod) -> None:
    """DELETE /adapters/{id}: 204; requests that run on it end as they would have."""
    adapter_id = exchange.path.removeprefix(PREFIX)
    await asyncio.to_thread(pod.adapters.remove, adapter_id)
    await pod.pool.retire(adapter_id)
    await exchange.raw(b"", "", status=204)
