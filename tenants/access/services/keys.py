"""API keys: made, shown once, rotated, revoked. Never more is handed on than the maker holds."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models.functions import Now
from django.utils import timezone

from kernel import addresses
from kernel.audit.log import record
from kernel.errors import Conflict, InvalidRequest, NotFound
from kernel.events.outbox import Happening, emit
from tenants.access import secrets
from tenants.access.delegation import require_may_hand_out
from tenants.access.models import ApiKey, KeyProject, ServiceAccount, User
from tenants.access.permissions import ADMIN_KEY_PERMISSIONS, KEY_PERMISSIONS, Permission
from tenants.access.powers import powers_of
from tenants.access.principal import Principal
from tenants.organizations.models import Project

CREATED = "tenants.api_key.created.v1"
CHANGED = "tenants.api_key.changed.v1"
REVOKED = "tenants.api_key.revoked.v1"
MAX_NAME_CHARACTERS = 100
MAX_PROJECTS = 50
MAX_MODELS = 100
MAX_MODEL_CHARACTERS = 200
MAX_NETWORKS = 50
MAX_OVERLAP_SECONDS = 7 * 24 * 3600
SHOWN_CHARACTERS = 7
SHOWN_AT_THE_END = 4


@dataclass(frozen=True)
class NewKey:
    """An API key just made or rotated, with the secret that is never shown again."""

    key: ApiKey
    secret: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class KeyWish:
    """What a new key is to be. Without `permissions` it gets all that its maker can hand on.

    `projects` are further ones; empty `models` and `networks` restrict nothing.
    """

    name: str
    permissions: Collection[str] | None = None
    projects: Collection[Project] = ()
    models: Collection[str] = ()
    networks: Collection[str] = ()
    expires_at: datetime | None = None
    expires_in_seconds: int | None = None


def make_api_key(name: str, *, project: Project, by: User | None) -> NewKey:
    """A key that holds all a key can; what it may do is still bounded by its maker, if it has one."""
    return create(KeyWish(name=name), KEY_PERMISSIONS, ApiKey(project=project, created_by=by))


def make_project_key(wish: KeyWish, *, by: Principal) -> NewKey:
    """A key of a person to the project in which they are.

    Raises `InvalidRequest` that names the parameter at fault, `Escalation` for a permission beyond theirs.
    """
    wanted = wished(wish.permissions, by.permissions & KEY_PERMISSIONS)
    require_may_hand_out(by, wanted, project_id=by.project_id)
    return create(wish, wanted, ApiKey(project_id=by.project_id, created_by_id=by.user_id))


def make_admin_key(wish: KeyWish, *, by: Principal) -> NewKey:
    """A key of a person to the organization's administration. Raises `InvalidRequest`."""
    return create(wish, by.everywhere & ADMIN_KEY_PERMISSIONS, ApiKey(created_by_id=by.user_id))


def create(wish: KeyWish, permissions: Collection[Permission], key: ApiKey) -> NewKey:
    """Store a new key; the caller has seen to it that it may be handed out. Raises `InvalidRequest`."""
    key.name = valid_name(wish.name)
    key.permissions = sorted(permissions)
    key.allowed_models = _models(wish.models)
    key.allowed_networks = _networks(wish.networks)
    _expire(key, wish)
    secret = _put_secret(key)
    key.save(force_insert=True)
    _open(key, wish.projects)
    key.refresh_from_db()
    record("key.create", key.public_id, **_described(key, wish.projects))
    tell(CREATED, key)
    return NewKey(key, secret)


def rotate_key(key: ApiKey, *, overlap_seconds: int, by: Principal) -> NewKey:
    """Give a key a new secret; the old one still opens for so many seconds, one older than that no longer.

    Whoever rotates a key sees its secret, so that they must hold all it may do. Raises `InvalidRequest`,
    `Escalation`, `KeyExpired`, `NotFound` for a key revoked meanwhile.
    """
    if not 0 <= overlap_seconds <= MAX_OVERLAP_SECONDS:
        raise InvalidRequest(
            f"'overlap_seconds' must be from 0 to {MAX_OVERLAP_SECONDS} (7 days).", param="overlap_seconds"
        )
    locked = ApiKey.objects.select_for_update().filter(pk=key.pk, revoked_at=None).first()
    if locked is None:
        raise NotFound("There is no such key, or it is revoked.")
    if locked.expires_at is not None and locked.expires_at <= timezone.now():
        raise KeyExpired
    _require_may_see(locked, by)
    replaced = locked.secret_hash if overlap_seconds else ""
    secret = _put_secret(locked)
    locked.previous_hash = replaced
    locked.previous_until = Now() + timedelta(seconds=overlap_seconds) if overlap_seconds else None
    locked.save(update_fields=["secret_hash", "prefix", "suffix", "previous_hash", "previous_until"])
    locked.refresh_from_db()
    record("key.rotate", locked.public_id, overlap_seconds=overlap_seconds, **_place(locked))
    tell(CHANGED, locked)
    return NewKey(locked, secret)


def revoke_api_key(key: ApiKey, by: Principal | None = None, *, reason: str = "") -> None:
    """End a key at once, both its secrets; the gateway hears of it through the event."""
    changed = ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=Now())
    if not changed:
        raise NotFound("There is no such key, or it is revoked already.")
    why = {"reason": reason} if reason else {}
    record("key.revoke", key.public_id, by=by.actor if by else "system", **_place(key), **why)
    tell(REVOKED, key)


def end_overlap(key: ApiKey, *, reason: str) -> None:
    """Let a secret that is being rotated out open nothing any more; the present one goes on."""
    ApiKey.objects.filter(pk=key.pk).update(previous_until=Now())
    record("key.update", key.public_id, after={"previous_secret": "ended"}, reason=reason, **_place(key))
    tell(CHANGED, key)


def revoke_keys_of(account: ServiceAccount) -> None:
    """End every key of a service account."""
    for key in ApiKey.objects.filter(service_account=account, revoked_at=None):
        revoke_api_key(key, reason="service_account_deleted")


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


def wished(names: Collection[str] | None, all_of_them: frozenset[Permission]) -> frozenset[Permission]:
    """The permissions that were asked for. Raises `InvalidRequest` for one that no project's key can hold."""
    if names is None:
        return all_of_them
    if strange := set(names) - set(KEY_PERMISSIONS):
        raise InvalidRequest(
            f"'permissions' has '{min(strange)[:60]}', which a key cannot hold; choose among "
            f"{', '.join(sorted(KEY_PERMISSIONS))}.",
            param="permissions",
        )
    if not names:
        raise InvalidRequest("'permissions' must name one at least, or be left out.", param="permissions")
    return frozenset(Permission(name) for name in names)


def valid_name(name: str) -> str:
    """The name without blanks around it. Raises `InvalidRequest`."""
    name = name.strip()
    if not 0 < len(name) <= MAX_NAME_CHARACTERS or not name.isprintable():
        raise InvalidRequest(
            f"'name' must have 1 to {MAX_NAME_CHARACTERS} printable characters.", param="name"
        )
    return name


class KeyExpired(Conflict):
    """An expired key cannot be rotated back to life."""

    code = "key_expired"
    message = "This key has expired; make a new one."


def _require_may_see(key: ApiKey, by: Principal) -> None:
    if by.user_id is not None and key.created_by_id == by.user_id and key.service_account_id is None:
        return
    powers = powers_of([key])[key.pk]
    for project_id, permissions in powers.in_projects.items():
        require_may_hand_out(by, permissions, project_id=project_id)
    if key.project_id is None:
        require_may_hand_out(by, powers.everywhere)


def _put_secret(key: ApiKey) -> str:
    secret = secrets.new_secret()
    key.prefix, key.suffix = secret[:SHOWN_CHARACTERS], secret[-SHOWN_AT_THE_END:]
    key.secret_hash = secrets.keyed_hash(secret, settings.API_KEY_PEPPER)
    return secret


def _expire(key: ApiKey, wish: KeyWish) -> None:
    if wish.expires_in_seconds is not None:
        key.expires_at = Now() + timedelta(seconds=wish.expires_in_seconds)
    elif wish.expires_at is not None:
        if wish.expires_at <= timezone.now():
            raise InvalidRequest("'expires_at' must be in the future.", param="expires_at")
        key.expires_at = wish.expires_at


def _open(key: ApiKey, projects: Collection[Project]) -> None:
    if len(projects) > MAX_PROJECTS:
        raise InvalidRequest(f"'projects' must be up to {MAX_PROJECTS}.", param="projects")
    further = {project.pk: project for project in projects if project.pk != key.project_id}
    KeyProject.objects.bulk_create(KeyProject(key=key, project=project) for project in further.values())


def _models(names: Collection[str]) -> list[str]:
    wanted = list(dict.fromkeys(names))
    if len(wanted) > MAX_MODELS or not all(
        0 < len(n) <= MAX_MODEL_CHARACTERS and n.isprintable() for n in wanted
    ):
        raise InvalidRequest(
            f"'models' must be up to {MAX_MODELS} names of 1 to {MAX_MODEL_CHARACTERS} characters.",
            param="models",
        )
    return wanted


def _networks(texts: Collection[str]) -> list[str]:
    if len(texts) > MAX_NETWORKS:
        raise InvalidRequest(f"'networks' must be up to {MAX_NETWORKS}.", param="networks")
    found = []
    for text in texts:
        try:
            found.append(str(addresses.network(text)))
        except ValueError:
            raise InvalidRequest(
                f"'networks' has '{text[:60]}', which is no network; write it like 10.1.0.0/16 or "
                "2001:db8::/32, without bits beyond the prefix.",
                param="networks",
            ) from None
    return list(dict.fromkeys(found))


def _described(key: ApiKey, projects: Iterable[Project]) -> dict[str, object]:
    return {
        **_place(key),
        "permissions": key.permissions,
        "projects": [project.public_id for project in projects],
        "models": key.allowed_models,
        "networks": key.allowed_networks,
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
    }


def _place(key: ApiKey) -> dict[str, object]:
    return {"name": key.name, "project": key.project.public_id if key.project else None}
