"""Who asks: an API key, looked up by its keyed hash."""

import hmac
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache

from inference.gateway.contract import Principal
from inference.gateway.entries import KeyEntry, Refusal
from inference.gateway.faults import (
    AddressNotAllowed,
    InvalidApiKey,
    MismatchedOrganization,
    MismatchedProject,
    PermissionMissing,
    Refused,
)
from inference.gateway.http import Exchange, Headers
from inference.gateway.ids import rendered
from inference.gateway.snapshot import Snapshot
from kernel.addresses import Network, client_address, is_within

_MAX_SECRET_BYTES = 256
_MISSING = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using "
    "Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
)
_INCORRECT = "Incorrect API key provided. You can find your API keys in the console of your organization."


class Authenticator:
    """Turns a request's headers and address into a principal."""

    def __init__(self, snapshot: Snapshot, pepper: bytes, *, trusted_proxies: Sequence[Network] = ()) -> None:
        self._snapshot, self._pepper, self._trusted = snapshot, pepper, tuple(trusted_proxies)

    async def principal(self, exchange: Exchange) -> Principal:
        """The key's principal in the project that the request names, or in the key's own.

        Whoever calls in process says who asks.

        Raises `InvalidApiKey`, `AddressNotAllowed`, `Mismatched…`, `Refused`, `SnapshotUnavailable`.
        """
        if exchange.call is not None:
            return exchange.call.principal
        headers = exchange.headers
        digest = hmac.digest(self._pepper, _secret(headers), "sha256").hex()
        entry = await self._snapshot.key(digest)
        if entry is None:
            raise InvalidApiKey(_INCORRECT)
        if entry.expires_at is not None and entry.expires_at <= time.time():
            raise InvalidApiKey("This API key has expired.")
        self._check_address(entry, exchange)
        organization = headers.get(b"openai-organization")
        if organization and organization.decode("latin-1") != rendered("org-", entry.organization_id):
            raise MismatchedOrganization("OpenAI-Organization header should match organization for API key.")
        project_id = _chosen(entry, headers.get(b"openai-project"))
        project = await self._snapshot.project(project_id)
        refuse(entry.refusal or (project.refusal if project else None))
        return entry.principals[project_id]

    def _check_address(self, entry: KeyEntry, exchange: Exchange) -> None:
        if not entry.networks:
            return
        address = client_address(exchange.peer, exchange.forwarded_for, self._trusted)
        if not is_within(address, entry.networks):
            raise AddressNotAllowed("This API key may not be used from your network address.")


def refuse(refusal: Refusal | None) -> None:
    """Raise `Refused` where there is a refusal."""
    if refusal is not None:
        raise Refused(refusal.code, refusal.message, refusal.status)


def _chosen(entry: KeyEntry, named: bytes | None) -> str:
    """The project that the header names, if the key works there; without a header the key's own."""
    if not named:
        return entry.project_id
    text = named.decode("latin-1")
    for project_id in entry.projects:
        if text == rendered("proj_", project_id):
            return project_id
    raise MismatchedProject("OpenAI-Project header should match a project of the API key.")


def _secret(headers: Mapping[bytes, bytes]) -> bytes:
    authorization = headers.get(b"authorization", b"")
    scheme, _, secret = authorization.partition(b" ")
    secret = secret.strip()
    if scheme.lower() != b"bearer" or not secret:
        raise InvalidApiKey(_MISSING)
    if not secret.startswith(b"lw_") or len(secret) > _MAX_SECRET_BYTES:
        raise InvalidApiKey(_INCORRECT)
    return secret


async def identified(exchange: Exchange, authenticator: Authenticator) -> Principal:
    """Who asks, told in the answer's headers and in the log. Raises what `Authenticator.principal` raises."""
    principal = await authenticator.principal(exchange)
    exchange.extra_headers += _headers_of(principal.organization_id, principal.project_id)
    exchange.facts.update(
        organization_id=principal.organization_id, project_id=principal.project_id, key_id=principal.key_id
    )
    return principal


@lru_cache(maxsize=4096)
def _headers_of(organization_id: str, project_id: str) -> Headers:
    return [
        (b"openai-organization", rendered("org-", organization_id).encode()),
        (b"openai-project", rendered("proj_", project_id).encode()),
    ]


def must(principal: Principal, permission: str) -> None:
    """Raise `PermissionMissing` unless the principal holds the permission."""
    if permission not in principal.permissions:
        raise PermissionMissing(
            f"You have insufficient permissions for this operation. Missing permission: {permission}."
        )
