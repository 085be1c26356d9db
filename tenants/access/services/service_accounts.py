"""Service accounts: programs that work in a project on nobody's behalf, and their keys."""

from collections.abc import Collection

from kernel import ids
from kernel.audit.log import record
from kernel.errors import InvalidRequest, NotFound
from kernel.events.outbox import Happening, emit
from tenants.access.delegation import require_may_hand_out
from tenants.access.models import ApiKey, ServiceAccount
from tenants.access.permissions import EVERYBODY, KEY_PERMISSIONS, Permission
from tenants.access.powers import SERVICE_ROLES
from tenants.access.principal import Principal
from tenants.access.services import keys
from tenants.access.services.keys import KeyWish, NewKey
from tenants.organizations.models import Project
from tenants.organizations.services.projects import require_live

CREATED = "tenants.service_account.created.v1"
CHANGED = "tenants.service_account.changed.v1"
DELETED = "tenants.service_account.deleted.v1"
MEMBER, OWNER, NO_ROLE = "member", "owner", "none"
ASSIGNABLE = (MEMBER, OWNER)
KEY_NAME = "Secret Key"


def find_account(public_id: str, project: Project) -> ServiceAccount:
    """The project's service account with this id. Raises `NotFound`."""
    found: ServiceAccount | None = ServiceAccount.objects.filter(
        pk=ids.parse("svc_acct", public_id, param="service_account_id"), project=project
    ).first()
    if found is None:
        raise NotFound(
            f"There is no service account '{public_id}' in this project.", param="service_account_id"
        )
    return found


def make_account(name: str, project: Project, *, role: str = MEMBER, by: Principal) -> ServiceAccount:
    """A new service account. Raises `InvalidRequest`, `Escalation`, `ProjectArchived`."""
    require_live(project)
    _require_may_give(role, project, by)
    account: ServiceAccount = ServiceAccount.objects.create(
        project=project, created_by_id=by.user_id, name=keys.valid_name(name), role=role
    )
    account.refresh_from_db()
    record(
        "service_account.create",
        account.public_id,
        name=account.name,
        role=role,
        project=project.public_id,
    )
    _tell(CREATED, account)
    return account


def make_key(
    account: ServiceAccount,
    *,
    name: str = KEY_NAME,
    permissions: Collection[str] | None = None,
    by: Principal,
) -> NewKey:
    """A key of a service account. Raises `InvalidRequest`, `Escalation`, `ProjectArchived`."""
    require_live(account.project)
    wanted = keys.wished(permissions, KEY_PERMISSIONS)
    _require_may_hand_on(wanted, account.project, by)
    row = ApiKey(project=account.project, service_account=account, created_by_id=by.user_id)
    return keys.create(KeyWish(name=name), wanted, row)


def change_account(
    account: ServiceAccount, *, name: str | None = None, role: str | None = None, by: Principal
) -> None:
    """Rename a service account or give it another role; its keys follow at once.

    Raises `InvalidRequest`, `Escalation`, `ProjectArchived`.
    """
    require_live(account.project)
    before = {"name": account.name, "role": account.role}
    if name is not None:
        account.name = keys.valid_name(name)
    if role is not None:
        if role not in ASSIGNABLE:
            raise InvalidRequest(f"'role' must be one of {', '.join(ASSIGNABLE)}.", param="role")
        _require_may_give(role, account.project, by)
        account.role = role
    account.save(update_fields=["name", "role"])
    after = {"name": account.name, "role": account.role}
    record(
        "service_account.update",
        account.public_id,
        project=account.project.public_id,
        before=before,
        after=after,
    )
    _tell(CHANGED, account)
    for key in ApiKey.objects.filter(service_account=account, revoked_at=None):
        keys.tell(keys.CHANGED, key)


def delete_account(account: ServiceAccount) -> None:
    """End a service account and all its keys at once. Raises `ProjectArchived`."""
    require_live(account.project)
    keys.revoke_keys_of(account)
    # The keys' rows stay, revoked, so that what they did can still be told.
    ApiKey.objects.filter(service_account=account).update(service_account=None)
    record(
        "service_account.delete",
        account.public_id,
        name=account.name,
        project=account.project.public_id,
    )
    _tell(DELETED, account)
    account.delete()


def _require_may_give(role: str, project: Project, by: Principal) -> None:
    _require_may_hand_on(SERVICE_ROLES.get(role, KEY_PERMISSIONS), project, by)


def _require_may_hand_on(wanted: Collection[Permission], project: Project, by: Principal) -> None:
    """Raises `Escalation` for work that the caller may not do there; seeing the project is no work."""
    seeing = EVERYBODY | {Permission.PROJECT_READ}
    require_may_hand_out(by, frozenset(wanted) - seeing, project_id=project.pk)


def _tell(name: str, account: ServiceAccount) -> None:
    emit(
        Happening(
            name=name,
            aggregate_id=account.pk,
            project_id=account.project_id,
            resource="service_account",
            resource_id=account.public_id,
        )
    )
