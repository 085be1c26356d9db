"""Objects that a project may keep to some of its members, and which of their rows a caller reaches."""

from typing import Any, ClassVar, TypeVar
from uuid import UUID

from django.apps import apps
from django.db import models
from django.db.models import Q, QuerySet, UUIDField
from django.db.models.functions import Cast

from tenants.access.models import Group, GroupMember, TenantGroupPermission, TenantUserPermission
from tenants.access.permissions import Permission
from tenants.access.principal import Principal
from tenants.organizations.models import ProjectOwned


class Restrictable(ProjectOwned):
    """A row of a project that grants can open one by one.

    A role's permission reaches it unless it is `restricted`; a grant to a member or to one of their groups
    reaches it in any case. `prefix` is that of its public id, `actions` are the permissions that can be
    granted on it; the model declares `Meta.permissions = object_permissions(*actions)` for guardian.
    """

    prefix: ClassVar[str]
    actions: ClassVar[tuple[Permission, ...]]

    restricted = models.BooleanField(default=False)

    class Meta:
        abstract = True


R = TypeVar("R", bound=models.Model)


def object_permissions(*actions: Permission) -> list[tuple[str, Any]]:
    """What a restrictable model declares in `Meta.permissions`."""
    return [(codename_of(action), f"{action.value} of this one") for action in actions]


def codename_of(action: Permission) -> str:
    """How guardian knows a permission on an object: guardian separates by dots itself."""
    return action.value.replace(".", "_")


def restrictable_models() -> dict[str, type[Restrictable]]:
    """Every restrictable model by the prefix of its public ids."""
    return {model.prefix: model for model in apps.get_models() if issubclass(model, Restrictable)}


def reaches_all(principal: Principal, project_id: UUID) -> bool:
    """Whether restrictions do not hold for the caller: an owner, an admin, or who opens objects to others."""
    return Permission.GRANT_WRITE in principal.permissions_in(project_id)


def visible(
    rows: "QuerySet[R]", principal: Principal, permission: Permission, *, through: str = ""
) -> "QuerySet[R]":
    """Those rows of the chosen project on which the caller has the permission; still one query.

    `through` names the foreign key to the restrictable row where `rows` only hang on one.
    """
    rows = rows.filter(project_id=principal.project_id)
    holds = permission in principal.permissions
    if holds and reaches_all(principal, principal.project_id):
        return rows
    link = f"{through}__" if through else ""
    reached = Q(**{f"{link}restricted": False}) if holds else Q(pk__in=())
    if principal.user_id is not None:
        target = rows.model._meta.get_field(through).related_model if through else rows.model
        reached |= Q(**{f"{link}pk__in": _granted_to_member(target, principal.user_id, permission)})
        reached |= Q(**{f"{link}pk__in": _granted_to_groups(target, principal.user_id, permission)})
    return rows.filter(reached)


def require_somewhere(principal: Principal, permission: Permission) -> None:
    """Raises `PermissionDenied` unless the caller has the permission in the project or on some object."""
    if permission not in principal.permissions and not _has_a_grant(principal, permission):
        principal.must(permission)


def _has_a_grant(principal: Principal, permission: Permission) -> bool:
    if principal.user_id is None:
        return False
    mine = TenantUserPermission.objects.filter(
        user_id=principal.user_id, permission__codename=codename_of(permission)
    )
    ours = TenantGroupPermission.objects.filter(
        group_id__in=_auth_groups_of(principal.user_id), permission__codename=codename_of(permission)
    )
    return mine.exists() or ours.exists()


def _granted_to_member(model: Any, user_id: UUID, permission: Permission) -> Any:
    return _objects(TenantUserPermission.objects.filter(user_id=user_id), model, permission)


def _granted_to_groups(model: Any, user_id: UUID, permission: Permission) -> Any:
    rows = TenantGroupPermission.objects.filter(group_id__in=_auth_groups_of(user_id))
    return _objects(rows, model, permission)


def _auth_groups_of(user_id: UUID) -> Any:
    groups = GroupMember.objects.filter(member__user_id=user_id, member__deactivated_at=None)
    return Group.objects.filter(pk__in=groups.values("group_id")).values("auth_group_id")


def _objects(rows: Any, model: Any, permission: Permission) -> Any:
    meta = model._meta
    return rows.filter(
        permission__codename=codename_of(permission),
        permission__content_type__app_label=meta.app_label,
        permission__content_type__model=meta.model_name,
    ).values(pk_of_object=Cast("object_pk", UUIDField()))
