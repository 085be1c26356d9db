"""How people, groups, roles and invitations look in OpenAI's administration API."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from rest_framework import serializers

from kernel import ids
from tenants.access.models import CustomRole, Group, GroupMember, Invitation, Member
from tenants.access.permissions import Role
from tenants.access.services.roles import Assignable, BuiltIn, permissions_of
from tenants.access.standing import standings_of
from tenants.organizations.models import Project

DESCRIPTIONS: dict[Role, str] = {
    Role.OWNER: "Everything, and hands the organization over or closes it.",
    Role.ADMIN: "Everything except handing the organization over and closing it.",
    Role.DATA_ENGINEER: "Brings, reads and deletes files.",
    Role.MODEL_TRAINER: "Reads files, trains models and talks to them.",
    Role.DEPLOYER: "Puts models into service and talks to them.",
    Role.VIEWER: "Sees files, jobs, models and deployments, and changes nothing.",
    Role.END_USER: "Talks to the models that are in service.",
    Role.AUDITOR: "Sees how the organization is run, without its data.",
}


class DeletedSerializer(serializers.Serializer[Any]):
    """What is gone."""

    object = serializers.CharField()
    id = serializers.CharField(required=False)
    deleted = serializers.BooleanField()


class MemberPersonSerializer(serializers.Serializer[Any]):
    """The person behind a member."""

    object = serializers.CharField()
    id = serializers.CharField()
    email = serializers.CharField()
    name = serializers.CharField()
    picture = serializers.CharField(allow_null=True)
    enabled = serializers.BooleanField()


class UserSerializer(serializers.Serializer[Any]):
    """A member of the organization; `role` is `owner` or `reader`, as OpenAI's API knows them."""

    object = serializers.CharField()
    id = serializers.CharField()
    email = serializers.CharField()
    name = serializers.CharField()
    role = serializers.CharField()
    added_at = serializers.IntegerField()
    created = serializers.IntegerField()
    is_service_account = serializers.BooleanField()
    is_scim_managed = serializers.BooleanField()
    user = MemberPersonSerializer()


class AssignableRoleSerializer(serializers.Serializer[Any]):
    """A role and what it allows."""

    object = serializers.CharField()
    id = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField(allow_null=True)
    permissions = serializers.ListField(child=serializers.CharField())
    resource_type = serializers.CharField()
    predefined_role = serializers.BooleanField()


class GroupSerializer(serializers.Serializer[Any]):
    """A group."""

    id = serializers.CharField()
    name = serializers.CharField()
    created_at = serializers.IntegerField()
    is_scim_managed = serializers.BooleanField()
    group_type = serializers.CharField()


class GroupUserSerializer(serializers.Serializer[Any]):
    """A member of a group."""

    id = serializers.CharField()
    name = serializers.CharField()
    email = serializers.CharField()


class InvitedProjectSerializer(serializers.Serializer[Any]):
    """A project that an invitation opens."""

    id = serializers.CharField()
    role = serializers.CharField()


class InviteSerializer(serializers.Serializer[Any]):
    """An invitation. `role` is `owner` or `reader`; `builtin_role` is ours, where one was given."""

    object = serializers.CharField()
    id = serializers.CharField()
    email = serializers.CharField()
    role = serializers.CharField()
    builtin_role = serializers.CharField(allow_null=True)
    status = serializers.ChoiceField(choices=["accepted", "expired", "pending"])
    created_at = serializers.IntegerField()
    expires_at = serializers.IntegerField()
    accepted_at = serializers.IntegerField(allow_null=True)
    projects = InvitedProjectSerializer(many=True)


def show_users(members: Sequence[Member]) -> list[dict[str, Any]]:
    """Members with their persons selected; what they own is looked up for all at once."""
    standings = standings_of(members)
    return [_show_user(member, owns=Role.OWNER in standings[member.pk].roles) for member in members]


def show_user(member: Member) -> dict[str, Any]:
    """One member."""
    return show_users([member])[0]


def _show_user(member: Member, *, owns: bool) -> dict[str, Any]:
    user = member.user
    return {
        "object": "organization.user",
        "id": member.public_id,
        "email": user.email,
        "name": user.name,
        "role": "owner" if owns else "reader",
        "added_at": unix(member.created_at),
        "created": unix(user.created_at),
        "is_service_account": False,
        "is_scim_managed": bool(member.external_id),
        "user": {
            "object": "user",
            "id": member.public_id,
            "email": user.email,
            "name": user.name,
            "picture": None,
            "enabled": member.deactivated_at is None,
        },
    }


def show_role(role: Assignable, *, project: Project | None = None) -> dict[str, Any]:
    """A role as it can be assigned in the organization or in a project."""
    own = project is not None and (isinstance(role, BuiltIn) or role.project_id is not None)
    return {
        "object": "role",
        "id": role.public_id,
        "name": role.name,
        "description": describe(role),
        "permissions": sorted(permissions_of(role)),
        "resource_type": "api.project" if own else "api.organization",
        "predefined_role": isinstance(role, BuiltIn),
    }


def describe(role: Assignable) -> str | None:
    """What a role is for, in one sentence."""
    if isinstance(role, CustomRole):
        return str(role.description) or None
    return DESCRIPTIONS[role.role]


def show_group(group: Group) -> dict[str, Any]:
    """A group as its own addresses show it."""
    return {
        "id": group.public_id,
        "name": group.name,
        "created_at": unix(group.created_at),
        "is_scim_managed": group.scim_managed,
        "group_type": "group",
    }


def show_group_user(row: GroupMember) -> dict[str, Any]:
    """One line of a group's list of members."""
    user = row.member.user
    return {"id": row.member.public_id, "name": user.name, "email": user.email}


def show_invite(invitation: Any) -> dict[str, Any]:
    """An invitation with its annotated `status`."""
    row: Invitation = invitation
    return {
        "object": "organization.invite",
        "id": row.public_id,
        "email": row.email,
        "role": "owner" if row.builtin == Role.OWNER else "reader",
        "builtin_role": row.builtin or None,
        "status": invitation.status,
        "created_at": unix(row.created_at),
        "expires_at": unix(row.expires_at),
        "accepted_at": unix(row.accepted_at) if row.accepted_at else None,
        "projects": [
            {"id": ids.render("proj", UUID(place["id"])), "role": place["role"]} for place in row.projects
        ],
    }


def unix(moment: datetime) -> int:
    """A moment in whole Unix seconds, as OpenAI's API writes it."""
    return int(moment.timestamp())


def user_id(identifier: UUID | None) -> str | None:
    """A person's public id, where there is a person."""
    return ids.render("user", identifier) if identifier else None
