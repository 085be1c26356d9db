"""Routes about the pod itself: /health, /info and /metrics."""

from inference.engine.exchange import Exchange
from inference.engine.faults import Unhealthy
from inference.engine.pod import Pod


async def health(exchange: Exchange, pod: Pod) -> None:
    """GET /health: 200 with nothing, or 503 when the pod drains or its last instance did not start."""
    if pod.draining or pod.pool.last_start_failed:
        raise Unhealthy("unhealthy")
    await exchange.raw(b"", "")


async def facts(exchange: Exchange, pod: Pod) -> None:
    """GET /info: TGI's facts; `model_sha` is the digest of the base model's folder."""
    limits = pod.limits
    await exchange.answer(
        {
            "model_id": pod.base.name,
            "model_sha": pod.base.digest,
            "model_pipeline_tag": "text-generation",
            "max_concurrent_requests": limits.max_concurrent_requests,
            "max_best_of": limits.max_best_of,
            "max_stop_sequences": limits.max_stop_sequences,
            "max_input_tokens": limits.max_total_tokens - 1,
            "max_total_tokens": limits.max_total_tokens,
            "validation_workers": 1,
            "max_client_batch_size": 1,
            "router": "loomworks-pod",
            "version": pod.version,
            "sha": None,
            "docker_label": None,
        }
    )


async def metrics(exchange: Exchange, pod: Pod) -> None:
    """GET /metrics: Prometheus' text format under TGI's names."""
    text = pod.metrics.render(pod.gauges())
    await exchange.raw(text.encode(), "text/plain; version=0.0.4")
