"""Child program: one llama.cpp server for one base with at most one adapter, on a unix socket.

It reads its configuration as one JSON line on stdin, says `ready` on stdout, and dies with its parent.
"""

import ctypes
import json
import os
import signal
import sys
from typing import Any

import xllamacpp

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when `parent` ends, however it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def parameters(plan: dict[str, Any]) -> Any:
    """Return llama.cpp's parameters for one instance; see `instances.Plan` for the fields."""
    wanted = xllamacpp.CommonParams()
    wanted.model.path = plan["gguf"]
    wanted.hostnames = [plan["socket"]]
    wanted.api_keys = [plan["key"]]
    wanted.n_ctx = plan["context_tokens"]
    wanted.n_parallel = plan["slots"]
    wanted.kv_unified = True
    # Threads that wait spin: with one each, the waiting ones never outnumber the cores.
    wanted.cpuparams.n_threads = wanted.cpuparams_batch.n_threads = 1
    # Every open stream holds one of these; they sleep, they do not spin.
    wanted.n_threads_http = plan["slots"] + 4
    # The base serves several organizations: what one asked must not speed up another's request. With
    # an adapter a reused prefix would change how the rest is rounded.
    wanted.cache_prompt = False
    # Without it, where a sequence lies in the shared context changes its rounding.
    wanted.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED
    wanted.cache_ram_mib = 0
    wanted.warmup = False
    wanted.ui = False
    wanted.verbosity = 0
    if plan["adapter"]:
        wanted.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(plan["adapter"], 1.0)]
    return wanted


def main() -> None:
    """Serve until killed."""
    plan = json.loads(sys.stdin.readline())
    die_with_parent(plan["parent"])
    server = xllamacpp.Server(parameters(plan))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while server is not None:
        signal.pause()


if __name__ == "__main__":
    main()
