"""Who the work is done for: the current organization, in Python and in PostgreSQL alike."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID

from django.db import connection, transaction

SYSTEM_ROLE = "lw_system"


class NoTenant(RuntimeError):
    """Tenant-owned rows were asked for outside `acting_for(organization_id)`: a programming fault."""


class ForeignRow(RuntimeError):
    """A row of another organization was about to be written: a programming fault."""


@dataclass(frozen=True)
class Scope:
    """Either one organization, or (with none) the system, which crosses them."""

    organization_id: UUID | None

    @property
    def crosses_tenants(self) -> bool:
        return self.organization_id is None


_current: ContextVar[Scope | None] = ContextVar("tenancy_scope", default=None)


def current_scope() -> Scope:
    """The scope in force. Raises `NoTenant` when there is none."""
    scope = _current.get()
    if scope is None:
        raise NoTenant("No organization is set: open acting_for(organization_id) first.")
    return scope


def current_organization_id() -> UUID:
    """The organization in force. Raises `NoTenant` when there is none or the scope crosses tenants."""
    organization_id = current_scope().organization_id
    if organization_id is None:
        raise NoTenant("This scope crosses organizations; name the organization explicitly.")
    return organization_id


@contextmanager
def acting_for(organization_id: UUID) -> Iterator[None]:
    """Do everything inside for one organization, in one transaction."""
    with _scope(Scope(organization_id)):
        yield


@contextmanager
def across_tenants() -> Iterator[None]:
    """Cross organizations, as the database role that has policies on the named tables only.

    For sign-in, key look-up, the outbox, leases and the snapshot; a test lists the files that may.
    """
    with _scope(Scope(None)):
        yield


@contextmanager
def _scope(scope: Scope) -> Iterator[None]:
    before = _current.get()
    with transaction.atomic():
        _tell_database(scope)
        token = _current.set(scope)
        try:
            yield
        finally:
            _current.reset(token)
        # A rollback restores the settings by itself; a released savepoint does not.
        if not connection.needs_rollback:
            _tell_database(before)


def _tell_database(scope: Scope | None) -> None:
    organization_id = "" if scope is None or scope.organization_id is None else str(scope.organization_id)
    role = SYSTEM_ROLE if scope is not None and scope.crosses_tenants else "none"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('role', %s, true), set_config('app.organization_id', %s, true)",
            [role, organization_id],
        )
