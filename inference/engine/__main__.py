"""The pod's command line: `POD_KEY=… python -m inference.engine --model-dir DIR --state-dir DIR`."""

import argparse
import logging
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

import uvicorn

from inference.engine import base
from inference.engine.app import App
from inference.engine.faults import CannotStart
from inference.engine.pod import Pod, state_held
from inference.engine.settings import Limits, Settings


def main(arguments: list[str]) -> int:
    """Serve until SIGTERM or SIGINT; return 1, with one sentence on stderr, when that cannot begin."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        serve(_settings(arguments))
    except CannotStart as fault:
        print(fault, file=sys.stderr)  # noqa: T201 - the command line's own voice
        return 1
    return 0


def serve(settings: Settings) -> None:
    """Load the base and answer on the given port until told to stop."""
    with _bound(settings.host, settings.port) as listener, state_held(settings.state_dir) as run_dir:
        model = base.load(settings.model_dir, settings.state_dir)
        tokens = min(settings.limits.context_tokens, model.context_tokens)
        settings = replace(settings, limits=replace(settings.limits, context_tokens=tokens))
        config = uvicorn.Config(
            App(Pod(settings, model, run_dir)),
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=int(settings.limits.grace_seconds),
            server_header=False,
            backlog=1024,
        )
        uvicorn.Server(config).run(sockets=[listener])


def _bound(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as fault:
        listener.close()
        raise CannotStart(f"The pod cannot listen on {host}:{port}: {fault.strerror}.") from fault
    return listener


def _settings(arguments: list[str]) -> Settings:
    given = _parser().parse_args(arguments)
    key = os.environ.get("POD_KEY", "")
    if not key:
        raise CannotStart("POD_KEY is not set: the pod needs the key that its clients must send.")
    names = ("context_tokens", "max_concurrent_requests", "max_instances", "adapter_slots")
    more = ("idle_seconds", "grace_seconds")
    limits = Limits(**{name: getattr(given, name) for name in (*names, *more)})
    return Settings(given.model_dir, given.state_dir, given.host, given.port, key, limits)


def _parser() -> argparse.ArgumentParser:
    default = Limits()
    parser = argparse.ArgumentParser(prog="python -m inference.engine", description=__doc__)
    parser.add_argument("--model-dir", type=Path, required=True, help="folder of the base model")
    parser.add_argument("--state-dir", type=Path, required=True, help="private folder for adapters")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--context-tokens", type=int, default=default.context_tokens)
    parser.add_argument("--max-concurrent-requests", type=int, default=default.max_concurrent_requests)
    parser.add_argument("--max-instances", type=int, default=default.max_instances)
    parser.add_argument("--adapter-slots", type=int, default=default.adapter_slots)
    parser.add_argument("--idle-seconds", type=float, default=default.idle_seconds)
    parser.add_argument("--grace-seconds", type=float, default=default.grace_seconds)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
