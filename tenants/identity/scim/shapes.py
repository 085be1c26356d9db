"""How members and groups look to a directory (RFC 7643)."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from django.conf import settings

from tenants.access.models import Group, GroupMember, Member
from tenants.identity.models import ProvisionedPerson

USER_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Group"
LIST_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
ROOT = "/scim/v2"


def location(kind: str, public_id: str) -> str:
    """Where a resource is."""
    return f"{settings.PUBLIC_URL}{ROOT}/{kind}/{public_id}"


def show_list(resources: Sequence[dict[str, Any]], *, total: int, start: int) -> dict[str, Any]:
    """A part of a list, and how long the whole is."""
    return {
        "schemas": [LIST_SCHEMA],
        "totalResults": total,
        "startIndex": start,
        "itemsPerPage": len(resources),
        "Resources": list(resources),
    }


def show_people(members: Sequence[Member]) -> list[dict[str, Any]]:
    """Members as users, with their groups; the same number of queries for any number of members."""
    rows = ProvisionedPerson.objects.filter(member__in=members)
    kept = {row.member_id: row for row in rows}
    inside: dict[UUID, list[Group]] = defaultdict(list)
    joined = GroupMember.objects.filter(member__in=members, group__scim_managed=True)
    for row in joined.select_related("group").order_by("pk"):
        inside[row.member_id].append(row.group)
    return [_show_person(member, kept.get(member.pk), inside[member.pk]) for member in members]


def show_person(member: Member) -> dict[str, Any]:
    """One member as a user."""
    return show_people([member])[0]


def show_teams(groups: Sequence[Group], *, without: Collection[str] = ()) -> list[dict[str, Any]]:
    """Groups, with their members unless those are left out."""
    inside: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    if "members" not in without:
        rows = GroupMember.objects.filter(group__in=groups).select_related("member__user").order_by("pk")
        for row in rows:
            inside[row.group_id].append(
                {
                    "value": row.member.public_id,
                    "display": row.member.user.email,
                    "type": "User",
                    "$ref": location("Users", row.member.public_id),
                }
            )
    return [_show_team(group, None if "members" in without else inside[group.pk]) for group in groups]


def show_team(group: Group) -> dict[str, Any]:
    """One group with its members."""
    return show_teams([group])[0]


def _show_person(member: Member, kept: ProvisionedPerson | None, inside: list[Group]) -> dict[str, Any]:
    given, family = (kept.given_name, kept.family_name) if kept else ("", "")
    formatted = f"{given} {family}".strip() or member.user.name
    return {
        "schemas": [USER_SCHEMA],
        "id": member.public_id,
        **({"externalId": member.external_id} if member.external_id else {}),
        "userName": member.user.email,
        "name": {"givenName": given, "familyName": family, "formatted": formatted},
        "displayName": (kept.display_name if kept else "") or member.user.name,
        **({"title": kept.title} if kept and kept.title else {}),
        "emails": [{"value": member.user.email, "type": "work", "primary": True}],
        "active": member.deactivated_at is None,
        "groups": [
            {"value": group.public_id, "display": group.name, "$ref": location("Groups", group.public_id)}
            for group in inside
        ],
        "meta": {
            "resourceType": "User",
            "created": member.created_at.isoformat(),
            "lastModified": (kept.updated_at if kept else member.created_at).isoformat(),
            "location": location("Users", member.public_id),
        },
    }


def _show_team(group: Group, inside: list[dict[str, Any]] | None) -> dict[str, Any]:
    return {
        "schemas": [GROUP_SCHEMA],
        "id": group.public_id,
        **({"externalId": group.external_id} if group.external_id else {}),
        "displayName": group.name,
        **({"members": inside} if inside is not None else {}),
        "meta": {
            "resourceType": "Group",
            "created": group.created_at.isoformat(),
            "location": location("Groups", group.public_id),
        },
    }
