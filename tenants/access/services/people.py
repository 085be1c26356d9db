"""People and their memberships of the current organization."""

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from guardian.shortcuts import assign_perm

from kernel.audit.log import record
from kernel.errors import InvalidRequest
from kernel.events.outbox import Happening, emit
from tenants.access.addresses import normalise
from tenants.access.models import Member, User
from tenants.access.permissions import Role
from tenants.access.principal import Principal
from tenants.access.services import roles
from tenants.organizations.models import Project


@transaction.atomic
def register_user(email: str, password: str, name: str = "") -> User:
    """A new person. Raises `InvalidRequest` for a weak password, for an address that is none or taken."""
    user = User(email=normalise(email), name=name)
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


def add_member(user: User, *granted_roles: Role) -> Member:
    """Make the person a member of the current organization, with these roles in all of it."""
    member: Member = Member.objects.create(user=user)
    record("member.add", user.public_id, roles=[role.value for role in granted_roles])
    for role in granted_roles:
        roles.assign(roles.BuiltIn(role), to=member)
    tell("tenants.member.added.v1", member)
    return member


def tell(name: str, member: Member) -> None:
    """Say what happened to a member."""
    emit(Happening(name=name, aggregate_id=member.pk, resource="member", resource_id=member.public_id))


def open_project_to(user: User, project: Project) -> None:
    """Let a member work in a project (some roles reach all of them)."""
    assign_perm("organizations.use_project", user, project)
    record("project.open", project.public_id, member=user.public_id)
    roles.tell_standing_changed()
