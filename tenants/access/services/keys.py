"""API keys: made, shown once, revoked."""

from dataclasses import dataclass, field

from django.conf import settings
from django.db.models.functions import Now

from kernel.audit.log import record
from kernel.errors import InvalidRequest, NotFound
from kernel.events.outbox import Happening, emit
from tenants.access import secrets
from tenants.access.models import ApiKey, User
from tenants.access.permissions import KEY_PERMISSIONS
from tenants.access.principal import Principal
from tenants.organizations.models import Project

MAX_NAME_CHARACTERS = 100
SHOWN_CHARACTERS = 7
SHOWN_AT_THE_END = 4


@dataclass(frozen=True)
class NewKey:
    """An API key just made, with the secret that is never shown again."""

    key: ApiKey
    secret: str = field(repr=False)


def make_api_key(name: str, *, project: Project, by: User | None) -> NewKey:
    """A new key to a project of the current organization. Raises `InvalidRequest` for a bad name."""
    name = name.strip()
    if not 0 < len(name) <= MAX_NAME_CHARACTERS or "\0" in name:
        raise InvalidRequest(f"'name' must have 1 to {MAX_NAME_CHARACTERS} characters.", param="name")
    secret = secrets.new_secret()
    key: ApiKey = ApiKey.objects.create(
        project=project,
        created_by=by,
        name=name,
        prefix=secret[:SHOWN_CHARACTERS],
        suffix=secret[-SHOWN_AT_THE_END:],
        secret_hash=secrets.keyed_hash(secret, settings.API_KEY_PEPPER),
        permissions=sorted(KEY_PERMISSIONS),
    )
    record("key.create", key.public_id, project=project.public_id)
    tell("tenants.api_key.created.v1", key)
    return NewKey(key, secret)


def revoke_api_key(key: ApiKey, by: Principal) -> None:
    """End a key at once; the gateway hears of it through the event."""
    changed = ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=Now())
    if not changed:
        raise NotFound("There is no such key, or it is revoked already.")
    record("key.revoke", key.public_id, by=by.actor)
    tell("tenants.api_key.revoked.v1", key)


def tell(name: str, key: ApiKey) -> None:
    """Say what happened to a key; gateways and consoles follow."""
    emit(
        Happening(
            name=name,
            aggregate_id=key.pk,
            project_id=key.project_id,
            resource="api_key",
            resource_id=key.public_id,
        )
    )
