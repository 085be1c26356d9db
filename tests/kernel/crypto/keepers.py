"""Vault's transit engine and AWS KMS for tests: they speak the real protocols, and fail as the real ones."""

import base64
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.test import override_settings

from kernel.crypto.cache import cache
from kernel.crypto.providers import chosen

TOKEN = "hvs.a-token-of-the-platform"
ACCOUNT = "111122223333"
Reply = tuple[int, bytes]


@dataclass
class Keeper:
    """Master keys by name, and how the server misbehaves: by a status, a fault's name, or slowness."""

    keys: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    slow_seconds: float = 0.0
    url: str = ""

    def reply(self, method: str, path: str, headers: Any, body: bytes) -> Reply:
        raise NotImplementedError

    def seal(self, name: str, plaintext: bytes, associated: bytes) -> bytes:
        nonce = os.urandom(12)
        return nonce + AESGCM(self.keys[name]).encrypt(nonce, plaintext, associated)

    def open(self, name: str, sealed: bytes, associated: bytes) -> bytes:
        return AESGCM(self.keys[name]).decrypt(sealed[:12], sealed[12:], associated)


@dataclass
class FakeVault(Keeper):
    """The transit engine at `/v1/transit`. Tokens in `tokens` may use it."""

    tokens: set[str] = field(default_factory=lambda: {TOKEN})
    is_sealed: bool = False
    status: int = 0

    def reply(self, method: str, path: str, headers: Any, body: bytes) -> Reply:
        if self.is_sealed:
            return self.fault(503, "Vault is sealed")
        if self.status:
            return self.fault(self.status, "as the test says")
        if headers.get("X-Vault-Token") not in self.tokens:
            return self.fault(403, "permission denied")
        _, _, mount, act, name, *rest = path.split("/")
        assert mount == "transit", path
        wish = json.loads(body or b"{}")
        if act == "keys":
            return self.manage(method, name, rest)
        if name not in self.keys:
            return self.fault(400, "encryption key not found")
        return self.use(act, name, wish)

    def manage(self, method: str, name: str, rest: list[str]) -> Reply:
        if method == "GET" and name not in self.keys:
            return 404, b'{"errors":[]}'
        if method == "POST" and not rest:
            self.keys.setdefault(name, os.urandom(32))
        if method == "DELETE":
            del self.keys[name]
            return 204, b""
        return 200, json.dumps({"data": {"name": name, "type": "aes256-gcm96"}}).encode()

    def use(self, act: str, name: str, wish: dict[str, str]) -> Reply:
        associated = base64.b64decode(wish.get("associated_data", ""))
        if act == "encrypt":
            sealed = self.seal(name, base64.b64decode(wish["plaintext"]), associated)
            answer = {"ciphertext": "vault:v1:" + base64.b64encode(sealed).decode(), "key_version": 1}
        else:
            if not wish["ciphertext"].startswith("vault:v1:"):
                return self.fault(400, "invalid ciphertext: no prefix")
            try:
                raw = base64.b64decode(wish["ciphertext"].removeprefix("vault:v1:"))
                opened = self.open(name, raw, associated)
            except (InvalidTag, ValueError):
                return self.fault(400, "cipher: message authentication failed")
            answer = {"plaintext": base64.b64encode(opened).decode()}
        return 200, json.dumps({"data": answer}).encode()

    def fault(self, status: int, words: str) -> Reply:
        return status, json.dumps({"errors": [words]}).encode()


@dataclass
class FakeKms(Keeper):
    """KMS' JSON protocol and STS' `AssumeRole`. `roles` maps what may be assumed to the external id."""

    states: dict[str, str] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    fault: str = ""
    status: int = 400

    def reply(self, method: str, path: str, headers: Any, body: bytes) -> Reply:
        target = headers.get("X-Amz-Target", "")
        if not target:
            return self.assume({name: values[0] for name, values in parse_qs(body.decode()).items()})
        if self.fault:
            return self.error(self.fault, self.status)
        act, wish = target.removeprefix("TrentService."), json.loads(body)
        if act == "CreateKey":
            return self.made(self.new_key())
        arn = wish["KeyId"]
        if arn not in self.keys:
            return self.error("NotFoundException")
        if act == "ScheduleKeyDeletion":
            if self.states.get(arn) == "PendingDeletion":
                return self.error("KMSInvalidStateException")
            self.states[arn] = "PendingDeletion"
            return self.made(arn)
        if self.states.get(arn):
            return self.error(
                {"Disabled": "DisabledException"}.get(self.states[arn], "KMSInvalidStateException")
            )
        return self.use(act, arn, wish)

    def new_key(self) -> str:
        arn = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/{uuid4()}"
        self.keys[arn] = os.urandom(32)
        return arn

    def made(self, arn: str) -> Reply:
        return 200, json.dumps({"KeyMetadata": {"KeyId": arn.rpartition("/")[2], "Arn": arn}}).encode()

    def use(self, act: str, arn: str, wish: dict[str, Any]) -> Reply:
        associated = json.dumps(wish.get("EncryptionContext", {}), sort_keys=True).encode()
        if act == "Encrypt":
            blob = self.seal(arn, base64.b64decode(wish["Plaintext"]), associated)
            return 200, json.dumps({"CiphertextBlob": base64.b64encode(blob).decode(), "KeyId": arn}).encode()
        try:
            opened = self.open(arn, base64.b64decode(wish["CiphertextBlob"]), associated)
        except (InvalidTag, ValueError):
            return self.error("InvalidCiphertextException")
        return 200, json.dumps({"Plaintext": base64.b64encode(opened).decode(), "KeyId": arn}).encode()

    def error(self, name: str, status: int = 400) -> Reply:
        return status, json.dumps({"__type": name, "message": "as the test says"}).encode()

    def assume(self, wish: dict[str, str]) -> Reply:
        if self.roles.get(wish["RoleArn"]) != wish["ExternalId"]:
            code = "<Code>AccessDenied</Code><Message>no</Message>"
            return 403, f"<ErrorResponse><Error><Type>Sender</Type>{code}</Error></ErrorResponse>".encode()
        told = (
            "<AccessKeyId>A</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
        )
        expires = "<Expiration>2999-01-01T00:00:00Z</Expiration>"
        result = f"<AssumeRoleResult><Credentials>{told}{expires}</Credentials></AssumeRoleResult>"
        return 200, f"<AssumeRoleResponse>{result}</AssumeRoleResponse>".encode()


@contextmanager
def serving(keeper: Keeper) -> Iterator[None]:
    """Let the keeper answer on a port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            keeper.asked.append(f"{self.command} {self.path}")
            time.sleep(keeper.slow_seconds)
            status, content = keeper.reply(self.command, self.path, self.headers, body)
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except OSError:
                # Who asked did not wait.
                self.close_connection = True

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    keeper.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def vault_of_the_platform() -> Iterator[FakeVault]:
    """A Vault that the settings name."""
    keeper = FakeVault()
    with serving(keeper), override_settings(VAULT_ADDRESS=keeper.url, VAULT_TOKEN=TOKEN, VAULT_TOKEN_FILE=""):
        yield keeper
    cache.forget()


@contextmanager
def kms_of_the_platform() -> Iterator[FakeKms]:
    """A KMS that the settings name."""
    keeper = FakeKms()
    with (
        serving(keeper),
        override_settings(
            AWS_KMS_ENDPOINT_URL=keeper.url,
            AWS_KMS_REGION="eu-central-1",
            AWS_KMS_ACCESS_KEY_ID="AKIA",
            AWS_KMS_SECRET_ACCESS_KEY="secret",
        ),
    ):
        chosen.aws_client.cache_clear()
        yield keeper
    chosen.aws_client.cache_clear()
    cache.forget()
