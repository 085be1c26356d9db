"""Who asks: an API key, looked up by its keyed hash."""

import hmac
import time
from collections.abc import Mapping

from inference.gateway.contract import Principal
from inference.gateway.faults import (
    InvalidApiKey,
    MismatchedOrganization,
    MismatchedProject,
    PermissionMissing,
)
from inference.gateway.ids import rendered
from inference.gateway.snapshot import Snapshot

_MAX_SECRET_BYTES = 256
_MISSING = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using "
    "Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
)
_INCORRECT = "Incorrect API key provided. You can find your API keys in the console of your organization."


class Authenticator:
    """Turns request headers into a principal."""

    def __init__(self, snapshot: Snapshot, pepper: bytes) -> None:
        self._snapshot, self._pepper = snapshot, pepper

    async def principal(self, headers: Mapping[bytes, bytes]) -> Principal:
        """The key's principal. Raises `InvalidApiKey`, `Mismatched…`, `SnapshotUnavailable`."""
        digest = hmac.digest(self._pepper, _secret(headers), "sha256").hex()
        entry = await self._snapshot.key(digest)
        if entry is None:
            raise InvalidApiKey(_INCORRECT)
        if entry.expires_at is not None and entry.expires_at <= time.time():
            raise InvalidApiKey("This API key has expired.")
        principal = entry.principal
        project = headers.get(b"openai-project")
        if project and project.decode("latin-1") != rendered("proj_", principal.project_id):
            raise MismatchedProject("OpenAI-Project header should match project for API key.")
        organization = headers.get(b"openai-organization")
        if organization and organization.decode("latin-1") != rendered("org-", principal.organization_id):
            raise MismatchedOrganization("OpenAI-Organization header should match organization for API key.")
        return principal


def _secret(headers: Mapping[bytes, bytes]) -> bytes:
    authorization = headers.get(b"authorization", b"")
    scheme, _, secret = authorization.partition(b" ")
    secret = secret.strip()
    if scheme.lower() != b"bearer" or not secret:
        raise InvalidApiKey(_MISSING)
    if not secret.startswith(b"lw_") or len(secret) > _MAX_SECRET_BYTES:
        raise InvalidApiKey(_INCORRECT)
    return secret


def must(principal: Principal, permission: str) -> None:
    """Raise `PermissionMissing` unless the principal holds the permission."""
    if permission not in principal.permissions:
        raise PermissionMissing(
            f"You have insufficient permissions for this operation. Missing permission: {permission}."
        )
