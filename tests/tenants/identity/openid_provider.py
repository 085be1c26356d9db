"""A little OpenID provider on loopback: it signs what a test tells it to, rightly or wrongly."""

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT_ID = "loomworks at the provider"
CLIENT_SECRET = "a secret: of the client"  # with a colon, as some providers make them
KEY = rsa.generate_private_key(65537, 2048)
OTHER_KEY = rsa.generate_private_key(65537, 2048)

Signer = Callable[[dict[str, Any]], str]


def sign(claims: dict[str, Any], key: Any = KEY, algorithm: str = "RS256", kid: str = "one") -> str:
    """An ID token as it should be."""
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})


def sign_with_none(claims: dict[str, Any]) -> str:
    """A token without a signature."""
    return jwt.encode(claims, "", algorithm="none", headers={"kid": "one"})


def public_key() -> dict[str, Any]:
    """The provider's key as it is published."""
    found: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
    return {**found, "kid": "one", "use": "sig"}


def sign_with_the_public_key(claims: dict[str, Any]) -> str:
    """A token with an HMAC that is keyed by the published key (algorithm confusion), made by hand."""
    secret = json.dumps(public_key()).encode()
    head = {"alg": "HS256", "typ": "JWT", "kid": "one"}
    body = b".".join(_encoded(json.dumps(part).encode()) for part in (head, claims))
    return (body + b"." + _encoded(hmac.new(secret, body, "sha256").digest())).decode()


class OpenIdProvider:
    """Runs until it is closed. `claims` are added to the honest ones; `signer` signs them all."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.signer: Signer = sign
        self.keys: list[dict[str, Any]] = [public_key()]
        self.published: dict[str, Any] = {}
        self.codes: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider._answer(self, provider._get(self.path.partition("?")[0]))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = {name: values[0] for name, values in parse_qs(body).items()}
                provider._answer(self, provider._token(form, self.headers.get("Authorization", "")))

            def log_message(self, *args: Any) -> None:
                """Quietly."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True)
        self._thread.start()

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    def let_in(self, request: dict[str, str], subject: str, **claims: Any) -> dict[str, str]:
        """What the provider's sign-in page sends the browser back with, for this authorization request."""
        code = secrets.token_urlsafe(16)
        self.codes[code] = {**request, "subject": subject, "claims": claims}
        return {"code": code, "state": request["state"], "iss": self.issuer}

    def _get(self, path: str) -> dict[str, Any] | None:
        self.asked.append(path)
        if path == "/.well-known/openid-configuration":
            return {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                **self.published,
            }
        return {"/keys": {"keys": self.keys}, "/userinfo": self.userinfo}.get(path)

    def _token(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        asked = self.codes.pop(form.get("code", ""), None)
        if asked is None or not _is_the_client(authorization):
            return None
        challenge = _encoded(hashlib.sha256(form["code_verifier"].encode()).digest()).decode()
        if challenge != asked["code_challenge"] or form["redirect_uri"] != asked["redirect_uri"]:
            return None
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "sub": asked["subject"],
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            **asked["claims"],
            **self.claims,
        }
        return {"access_token": "an access token", "token_type": "Bearer", "id_token": self.signer(claims)}

    def _answer(self, handler: BaseHTTPRequestHandler, found: dict[str, Any] | None) -> None:
        content = json.dumps(found if found is not None else {"error": "invalid_grant"}).encode()
        handler.send_response(200 if found is not None else 400)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)


def _is_the_client(authorization: str) -> bool:
    pair = base64.b64decode(authorization.removeprefix("Basic ")).decode()
    name, _, secret = pair.partition(":")
    return (unquote(name), unquote(secret)) == (CLIENT_ID, CLIENT_SECRET)


def _encoded(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
