"""What people do with accounts, memberships and API keys."""

from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.functions import Now
from guardian.shortcuts import assign_perm

from kernel.audit.log import record
from kernel.errors import InvalidRequest, NotFound
from kernel.events.outbox import Happening, emit
from tenants.access import secrets
from tenants.access.models import ApiKey, Member, User
from tenants.access.permissions import KEY_PERMISSIONS, Role
from tenants.access.principal import Principal
from tenants.organizations.models import Project

MAX_NAME_CHARACTERS = 100
SHOWN_CHARACTERS = 7


@dataclass(frozen=True)
class NewKey:
    """An API key just made, with the secret that is never shown again."""

    key: ApiKey
    secret: str


@transaction.atomic
def register_user(email: str, password: str, name: str = "") -> User:
    """A new person. Raises `InvalidRequest` for a weak password or an address already taken."""
    user = User(email=email.strip().lower(), name=name)
    try:
        validate_password(password, user)
    except ValidationError as fault:
        raise InvalidRequest(" ".join(fault.messages), param="password", code="weak_password") from None
    if User.objects.filter(email=user.email).exists():
        raise InvalidRequest("This address cannot be registered.", param="email")
    return User.objects.create_user(user.email, password, name)


def person_of(principal: Principal) -> User | None:
    """The person behind a caller; an API key has none."""
    return User.objects.filter(pk=principal.user_id).first() if principal.user_id else None


def add_member(user: User, role: Role) -> Member:
    """Make the person a member of the current organization."""
    member: Member = Member.objects.create(user=user, role=role.value)
    record("member.add", user.public_id, role=role.value)
    return member


def open_project_to(user: User, project: Project) -> None:
    """Let a member work in a project (owners may work in all)."""
    assign_perm("organizations.use_project", user, project)
    record("project.open", project.public_id, member=user.public_id)


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
        secret_hash=secrets.keyed_hash(secret, settings.API_KEY_PEPPER),
        permissions=sorted(KEY_PERMISSIONS),
    )
    record("key.create", key.public_id, project=project.public_id)
    _tell("tenants.api_key.created.v1", key)
    return NewKey(key, secret)


def revoke_api_key(key: ApiKey, by: Principal) -> None:
    """End a key at once; the gateway hears of it through the event."""
    changed = ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=Now())
    if not changed:
        raise NotFound("There is no such key, or it is revoked already.")
    record("key.revoke", key.public_id, by=by.actor)
    _tell("tenants.api_key.revoked.v1", key)


def _tell(name: str, key: ApiKey) -> None:
    emit(
        Happening(
            name=name,
            aggregate_id=key.pk,
            project_id=key.project_id,
            resource="api_key",
            resource_id=key.public_id,
        )
    )
