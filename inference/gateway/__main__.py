"""`python -m inference.gateway`: the data plane as a process of its own."""

import argparse
import logging
import os
import sys
from pathlib import Path

import orjson
import structlog
import uvicorn

from inference.gateway.application import Gateway
from inference.gateway.contract import GatewayConfig
from inference.gateway.http import Receive, Scope, Send
from kernel import heap
from kernel.addresses import Network, network
from kernel.connections import BoundedHeads


def _required(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        sys.exit(f"{name} must be set in the environment.")
    return value


def config_from_environment() -> GatewayConfig:
    """Read VALKEY_URL, API_KEY_PEPPER (hex, 32 bytes), POD_KEY, SPOOL_DIR and, if given, TRUSTED_PROXIES.

    Exits naming a bad one.
    """
    try:
        pepper = bytes.fromhex(_required("API_KEY_PEPPER"))
    except ValueError:
        sys.exit("API_KEY_PEPPER must be hexadecimal.")
    if len(pepper) != 32:
        sys.exit("API_KEY_PEPPER must be 32 bytes in hexadecimal.")
    return GatewayConfig(
        valkey_url=_required("VALKEY_URL"),
        api_key_pepper=pepper,
        pod_key=_required("POD_KEY"),
        spool_dir=Path(_required("SPOOL_DIR")),
        trusted_proxies=_trusted_proxies(),
    )


def _trusted_proxies() -> tuple[Network, ...]:
    words = os.environ.get("TRUSTED_PROXIES", "").split(",")
    try:
        return tuple(network(word) for word in words if word.strip())
    except ValueError as fault:
        sys.exit(f"TRUSTED_PROXIES must be networks like 10.1.0.0/16: {fault}.")


class Standalone:
    """The gateway with the probes of a process: `/livez` and `/readyz`."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in {"/livez", "/readyz"}:
            await self._gateway(scope, receive, send)
            return
        ok = scope["path"] == "/livez" or self._gateway.ready
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200 if ok else 503, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


def main() -> None:
    """Serve until SIGTERM, then finish what is running."""
    parser = argparse.ArgumentParser(prog="python -m inference.gateway", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--grace-seconds", type=int, default=60)
    options = parser.parse_args()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )
    gateway = Standalone(Gateway(config_from_environment()))
    heap.settle()
    uvicorn.run(
        gateway,
        host=options.host,
        port=options.port,
        http=BoundedHeads,
        access_log=False,
        server_header=False,
        # It would believe the header of anybody on this machine; the gateway reads it itself.
        proxy_headers=False,
        log_level="warning",
        timeout_graceful_shutdown=options.grace_seconds,
    )


if __name__ == "__main__":
    main()
