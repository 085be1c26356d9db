"""What a directory does with people: it brings them in, changes them, shuts them out, removes them."""

from dataclasses import dataclass
from typing import Any

from allauth.account.models import EmailAddress
from django.db.models.functions import Now

from kernel.audit.log import record
from kernel.errors import DomainError
from tenants.access.addresses import normalise
from tenants.access.models import Member, User
from tenants.access.permissions import Role
from tenants.access.services import members, people, roles
from tenants.identity.models import FederatedIdentity, ProvisionedPerson
from tenants.identity.scim.changes import Change, truth
from tenants.identity.scim.errors import BadSyntax, BadValue, NotUnique
from tenants.identity.sso.arrival import new_person
from tenants.identity.sso.domains import verified_names
from tenants.identity.sso.names import domain_of
from tenants.identity.sso.providers import active_providers
from tenants.limits.services.seats import require_a_seat

MAX_CHARACTERS = {
    "external_id": 255,
    "given_name": 100,
    "family_name": 100,
    "display_name": 200,
    "title": 200,
}
ATTRIBUTES = {
    "externalid": "external_id",
    "name.givenname": "given_name",
    "name.familyname": "family_name",
    "displayname": "display_name",
    "title": "title",
}
KEPT_OF_PEOPLE = ("given_name", "family_name", "display_name", "title")


@dataclass(frozen=True)
class Wanted:
    """What a person should become; what is None stays as it is."""

    user_name: str | None = None
    active: bool | None = None
    external_id: str | None = None
    given_name: str | None = None
    family_name: str | None = None
    display_name: str | None = None
    title: str | None = None


def read_person(body: dict[str, Any], *, whole: bool) -> Wanted:
    """The person of a body. `whole`: attributes that are left out become empty, except `active`.

    Raises `BadSyntax`, `BadValue`.
    """
    low = {name.lower(): value for name, value in body.items()}
    name = low.get("name") or {}
    if not isinstance(name, dict):
        raise BadSyntax("'name' must be an object.")
    low |= {f"name.{part.lower()}": text for part, text in name.items()}
    texts = {
        ours: _text(low.get(theirs), ours, theirs)
        for theirs, ours in ATTRIBUTES.items()
        if whole or theirs in low
    }
    return Wanted(
        user_name=_address(low["username"]) if "username" in low else None,
        active=truth(low["active"]) if low.get("active") is not None else None,
        **texts,
    )


def wanted_by(changes: list[Change]) -> Wanted:
    """What changes make of a person. Attributes that are not kept are passed over. Raises `BadValue`."""
    found: dict[str, Any] = {}
    for change in changes:
        value = None if change.operation == "remove" else change.value
        if change.attribute == "active":
            found["active"] = truth(value)
        elif change.attribute == "username":
            found["user_name"] = _address(value)
        elif change.attribute in ATTRIBUTES:
            ours = ATTRIBUTES[change.attribute]
            found[ours] = _text(value, ours, change.attribute)
    return Wanted(**found)


def bring_in(wanted: Wanted) -> Member:
    """A new member. Raises `BadValue` for an address of a foreign domain, `NotUnique`, `SeatLimitReached`."""
    if wanted.user_name is None:
        raise BadValue("'userName' is needed: the person's e-mail address.")
    _require_own(wanted.user_name)
    roles.lock_organization()
    user = User.objects.filter(email=wanted.user_name).first()
    if user is not None and Member.objects.filter(user=user).exists():
        raise NotUnique(f"'{wanted.user_name}' is a member already.")
    _require_free_external_id(wanted)
    require_a_seat()
    member = people.add_member(user or new_person(wanted.user_name, _full_name(wanted)), _default_role())
    change_person(member, wanted)
    return find(member)


def change_person(member: Member, wanted: Wanted) -> Member:
    """Let the member be as wanted. Raises `BadValue`, `NotUnique`, `LastOwner`, `SeatLimitReached`."""
    _require_free_external_id(wanted, besides=member)
    if wanted.user_name is not None and wanted.user_name != member.user.email:
        _move(member.user, wanted.user_name)
    if wanted.external_id is not None and wanted.external_id != member.external_id:
        Member.objects.filter(pk=member.pk).update(external_id=wanted.external_id)
    _keep(member, wanted)
    if wanted.active is False:
        members.deactivate_member(member, by=None)
    elif wanted.active:
        members.reactivate_member(member, by=None)
    return find(member)


def remove_person(member: Member) -> None:
    """End the membership, and what identity providers know the person by. Raises `LastOwner`."""
    FederatedIdentity.objects.filter(user=member.user).delete()
    members.remove_member(member, by=None)


def find(member: Member) -> Member:
    """The member as the database has it now."""
    found: Member = Member.objects.select_related("user").get(pk=member.pk)
    return found


def _keep(member: Member, wanted: Wanted) -> None:
    """Keep what the directory says; the person's own name follows where their address is ours."""
    kept, made = ProvisionedPerson.objects.get_or_create(member=member)
    new = {name: getattr(wanted, name) for name in KEPT_OF_PEOPLE if getattr(wanted, name) is not None}
    changed = sorted(name for name, value in new.items() if getattr(kept, name) != value)
    if not changed and not made:
        return
    ProvisionedPerson.objects.filter(pk=kept.pk).update(**new, updated_at=Now())
    kept.refresh_from_db()
    record("scim.person.update", member.public_id, changed=changed)
    name = _full_name(kept)
    user = member.user
    if name and name != user.name and not user.is_operator and domain_of(user.email) in verified_names():
        User.objects.filter(pk=user.pk).update(name=name)


def _move(user: User, email: str) -> None:
    """Give the person another address; both must be of domains that the organization has verified."""
    _require_own(email)
    if user.is_operator or domain_of(user.email) not in verified_names():
        raise BadValue("The person's address is not of a domain that your organization has verified.")
    if User.objects.filter(email=email).exists():
        raise NotUnique("Somebody has this address already.")
    EmailAddress.objects.filter(user_id=user.pk, email=user.email).update(email=email, verified=True)
    User.objects.filter(pk=user.pk).update(email=email)
    user.email = email
    record("scim.person.update", user.public_id, changed=["user_name"])


def _require_own(email: str) -> None:
    if domain_of(email) not in verified_names():
        raise BadValue(
            f"'{email}' is not of a domain that your organization has verified; verify the domain first."
        )


def _require_free_external_id(wanted: Wanted, besides: Member | None = None) -> None:
    if not wanted.external_id:
        return
    others = Member.objects.filter(external_id=wanted.external_id)
    if (others.exclude(pk=besides.pk) if besides else others).exists():
        raise NotUnique(f"Another member has the external id '{wanted.external_id}'.")


def _default_role() -> Role:
    """As for those whom the organization's first identity provider brings in."""
    providers = active_providers()
    return Role(providers[0].default_role) if providers else Role.END_USER


def _full_name(person: Wanted | ProvisionedPerson) -> str:
    whole = f"{person.given_name or ''} {person.family_name or ''}".strip()
    return (person.display_name or whole)[:100]


def _address(value: Any) -> str:
    try:
        return normalise(value, param="userName")
    except DomainError as fault:
        raise BadValue(fault.message) from None


def _text(value: Any, ours: str, theirs: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MAX_CHARACTERS[ours]:
        raise BadValue(f"'{theirs}' must be text of at most {MAX_CHARACTERS[ours]} characters.")
    return value
