"""How projects, service accounts and keys look in OpenAI's administration API."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from rest_framework import serializers

from tenants.access.models import ApiKey, Member, ServiceAccount
from tenants.access.permissions import Permission, Role
from tenants.access.powers import Maker, makers
from tenants.access.project_roles import ProjectRole
from tenants.access.services.keys import NewKey
from tenants.access.standing import standings_of
from tenants.organizations.models import Project

Shown = dict[str, Any]
STATUSES = ["active", "archived"]
ACTIVE, INACTIVE = "active", "inactive"


class ProjectSerializer(serializers.Serializer[Any]):
    """A project."""

    id = serializers.CharField()
    object = serializers.CharField()
    name = serializers.CharField()
    created_at = serializers.IntegerField()
    archived_at = serializers.IntegerField(allow_null=True)
    status = serializers.CharField()


class ServiceAccountSerializer(serializers.Serializer[Any]):
    """A service account; `role` is `owner`, `member` or `none`."""

    object = serializers.CharField()
    id = serializers.CharField()
    name = serializers.CharField()
    role = serializers.CharField()
    created_at = serializers.IntegerField()


class ServiceAccountKeySerializer(serializers.Serializer[Any]):
    """A service account's key just made: the only time its value is shown."""

    object = serializers.CharField()
    value = serializers.CharField()
    name = serializers.CharField()
    created_at = serializers.IntegerField()
    id = serializers.CharField()


class NewServiceAccountSerializer(ServiceAccountSerializer):
    """A service account just made, with its key."""

    api_key = ServiceAccountKeySerializer(allow_null=True)


class ProjectKeyOwnerSerializer(serializers.Serializer[Any]):
    """Who a project's key acts for; nothing for one that the platform made."""

    type = serializers.CharField(required=False)
    user = serializers.DictField(required=False)
    service_account = serializers.DictField(required=False)


class ProjectKeySerializer(serializers.Serializer[Any]):
    """A project's key."""

    object = serializers.CharField()
    redacted_value = serializers.CharField()
    name = serializers.CharField()
    created_at = serializers.IntegerField()
    last_used_at = serializers.IntegerField(allow_null=True)
    id = serializers.CharField()
    owner_project_access = serializers.CharField()
    owner = ProjectKeyOwnerSerializer()


class AdminKeyOwnerSerializer(serializers.Serializer[Any]):
    """The person who made an administration key."""

    type = serializers.CharField()
    object = serializers.CharField()
    id = serializers.CharField()
    name = serializers.CharField()
    created_at = serializers.IntegerField()
    role = serializers.CharField()


class AdminKeySerializer(serializers.Serializer[Any]):
    """A key to the organization's administration."""

    object = serializers.CharField()
    id = serializers.CharField()
    name = serializers.CharField()
    redacted_value = serializers.CharField()
    created_at = serializers.IntegerField()
    expires_at = serializers.IntegerField(allow_null=True)
    last_used_at = serializers.IntegerField(allow_null=True)
    owner = AdminKeyOwnerSerializer()


class NewAdminKeySerializer(AdminKeySerializer):
    """An administration key just made: the only time its value is shown."""

    value = serializers.CharField()


def show_project(project: Project) -> Shown:
    """OpenAI's `organization.project`."""
    return {
        "id": project.public_id,
        "object": "organization.project",
        "name": project.name,
        "created_at": unix(project.created_at),
        "archived_at": unix(project.archived_at) if project.archived_at else None,
        "status": "archived" if project.archived_at else "active",
    }


def show_projects(projects: Sequence[Project]) -> list[Shown]:
    """Several of them."""
    return [show_project(project) for project in projects]


def show_account(account: ServiceAccount) -> Shown:
    """OpenAI's `organization.project.service_account`."""
    return {
        "object": "organization.project.service_account",
        "id": account.public_id,
        "name": account.name,
        "role": account.role,
        "created_at": unix(account.created_at),
    }


def show_accounts(accounts: Sequence[ServiceAccount]) -> list[Shown]:
    """Several of them."""
    return [show_account(account) for account in accounts]


def show_account_key(made: NewKey) -> Shown:
    """OpenAI's `organization.project.service_account.api_key`, with its value."""
    return {
        "object": "organization.project.service_account.api_key",
        "value": made.secret,
        "name": made.key.name,
        "created_at": unix(made.key.created_at),
        "id": made.key.public_id,
    }


def show_project_keys(keys: Sequence[ApiKey]) -> list[Shown]:
    """OpenAI's `organization.project.api_key`, several at once."""
    owners = makers({key.created_by_id for key in keys if key.created_by_id})
    return [
        {
            "object": "organization.project.api_key",
            "redacted_value": key.redacted,
            "name": key.name,
            "created_at": unix(key.created_at),
            "last_used_at": unix(key.last_used_at) if key.last_used_at else None,
            "id": key.public_id,
            "owner_project_access": ACTIVE if _owner_has_access(key, owners) else INACTIVE,
            "owner": _owner(key, owners),
        }
        for key in keys
    ]


def show_admin_keys(keys: Sequence[ApiKey]) -> list[Shown]:
    """OpenAI's `organization.admin_api_key`, several at once."""
    members = list(Member.objects.filter(user__in=[key.created_by_id for key in keys if key.created_by_id]))
    standings = standings_of(members)
    foremost = {member.user_id: standings[member.pk].role for member in members}
    return [
        {
            "object": "organization.admin_api_key",
            "id": key.public_id,
            "name": key.name,
            "redacted_value": key.redacted,
            "created_at": unix(key.created_at),
            "expires_at": unix(key.expires_at) if key.expires_at else None,
            "last_used_at": unix(key.last_used_at) if key.last_used_at else None,
            "owner": _admin_owner(key, foremost),
        }
        for key in keys
    ]


def unix(moment: datetime) -> int:
    """Whole Unix seconds."""
    return int(moment.timestamp())


def _owner_has_access(key: ApiKey, owners: Mapping[UUID, Maker]) -> bool:
    if key.service_account_id is not None or key.created_by_id is None:
        return True
    owner = owners.get(key.created_by_id)
    return owner is not None and key.project_id is not None and owner.reaches(key.project_id)


def _owner(key: ApiKey, owners: Mapping[UUID, Maker]) -> Shown:
    if key.service_account is not None:
        account = key.service_account
        shown = {"id": account.public_id, "name": account.name, "role": account.role}
        return {
            "type": "service_account",
            "service_account": {**shown, "created_at": unix(account.created_at)},
        }
    if key.created_by is None:
        return {}
    person, owner = key.created_by, owners.get(key.created_by.pk)
    administers = owner is not None and Permission.PROJECT_WRITE in owner.permissions_in(key.project_id)
    role = ProjectRole.OWNER if administers else ProjectRole.MEMBER
    return {
        "type": "user",
        "user": {
            "id": person.public_id,
            "email": person.email,
            "name": person.name,
            "created_at": unix(person.created_at),
            "role": role.value,
        },
    }


def _admin_owner(key: ApiKey, foremost: Mapping[UUID, Role | None]) -> Shown:
    if key.created_by is None:
        return {}
    role = foremost.get(key.created_by.pk)
    return {
        "type": "user",
        "object": "organization.user",
        "id": key.created_by.public_id,
        "name": key.created_by.name,
        "created_at": unix(key.created_by.created_at),
        "role": role.value if role else "reader",
    }
