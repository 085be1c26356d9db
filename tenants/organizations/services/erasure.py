"""Erasure of a closed organization: everything of it goes, its keys last, and only a tombstone stays.

Each step bears being done again, so that a process that is killed midway is followed by another that goes on.
"""

from collections.abc import Callable, Iterator
from graphlib import TopologicalSorter
from uuid import UUID

import structlog
from django.apps import apps
from django.db import connection, models
from django.db.models.functions import Now

from kernel.crypto import copies, keys
from kernel.crypto.models import OrganizationKey, RetiredRoot
from kernel.events.outbox import Happening, emit
from kernel.ports.erasure import Subject, keepers, no_beat
from kernel.storage import objects
from kernel.tenancy.models import TenantOwned
from kernel.tenancy.scope import across_tenants, acting_for
from tenants.organizations.models import Organization, OrganizationState
from tenants.organizations.services import holds
from tenants.organizations.services.lifecycle import CLOSED

BATCH = 2_000
TOMBSTONE_NAME = "Closed organization"
# Destroyed keys stay as empty rows, so that nobody mistakes what was shredded for something new; what is
# still to be destroyed, until it is.
STAYS = (OrganizationKey, RetiredRoot)

log = structlog.get_logger()


def due() -> list[UUID]:
    """The organizations whose grace period is over and of which something is left."""
    with across_tenants():
        waiting = Organization.objects.filter(erased_at=None).filter(
            models.Q(state=OrganizationState.CLOSED)
            | models.Q(state=OrganizationState.CLOSING, erase_at__lte=Now())
        )
        return list(waiting.order_by("erase_at").values_list("pk", flat=True))


def erase(organization_id: UUID, *, at_the_end: Callable[[], None]) -> bool:
    """Erase what is left of an organization that is due; answers whether this call brought it to its end.

    `at_the_end` is called in the transaction that leaves the tombstone, so once. Raises what a store
    raises that does not answer; the next call goes on from there. Raises `UnderLegalHold` before anything.
    """
    if not _close(organization_id):
        return False
    everything = Subject(organization_id=organization_id)
    for keeper in keepers():
        keeper.erase(everything, (), no_beat)
        log.info("erasure.step", organization_id=str(organization_id), step=keeper.name)
    objects.delete_everything(organization_id)
    for model in models_in_order():
        _erase_rows(organization_id, model)
    # What was written while the rows went (a late answer, a usage record) is unreadable without its key.
    keys.destroy_keys(organization_id)
    copies.keep(organization_id)
    objects.delete_everything(organization_id)
    return _leave_tombstone(organization_id, at_the_end)


def models_in_order() -> list[type[TenantOwned]]:
    """Every tenant-owned model, those that point at others first."""
    owned = {
        model
        for model in apps.get_models()
        if issubclass(model, TenantOwned) and model not in STAYS and not model._meta.proxy
    }
    order: TopologicalSorter[type[TenantOwned]] = TopologicalSorter()
    for model in owned:
        order.add(model)
        for target in _targets(model):
            if target in owned and target is not model:
                order.add(target, model)
    return list(order.static_order())


def _targets(model: type[models.Model]) -> Iterator[type[models.Model]]:
    for field in model._meta.get_fields():
        if isinstance(field, models.ForeignKey) and isinstance(field.related_model, type):
            yield field.related_model


def _close(organization_id: UUID) -> bool:
    """From here on nobody enters, and no way leads back."""
    with acting_for(organization_id):
        organization = Organization.objects.select_for_update(no_key=True).get(pk=organization_id)
        if organization.erased_at is not None:
            return False
        is_due = Organization.objects.filter(pk=organization_id, erase_at__lte=Now()).exists()
        if is_due:
            holds.require_nothing_held()
        if organization.state == OrganizationState.CLOSING and is_due:
            Organization.objects.filter(pk=organization_id).update(state=OrganizationState.CLOSED)
            emit(Happening(CLOSED, aggregate_id=organization_id, resource="organization"))
            return True
        return organization.state == OrganizationState.CLOSED and is_due


def _erase_rows(organization_id: UUID, model: type[TenantOwned]) -> None:
    """Delete a table's rows in batches; all at once where rows point at each other."""
    table = connection.ops.quote_name(model._meta.db_table)
    limit = "" if model in set(_targets(model)) else f" LIMIT {BATCH}"
    statement = (
        f"DELETE FROM {table} WHERE organization_id = %s AND id IN "  # noqa: S608 - a model's own table
        f"(SELECT id FROM {table} WHERE organization_id = %s{limit})"
    )
    while True:
        with acting_for(organization_id), connection.cursor() as cursor:
            cursor.execute(statement, [organization_id, organization_id])
            gone = cursor.rowcount
        if gone < BATCH:
            return


def _leave_tombstone(organization_id: UUID, at_the_end: Callable[[], None]) -> bool:
    with acting_for(organization_id):
        rows = Organization.objects.filter(pk=organization_id, erased_at=None)
        if not rows.update(erased_at=Now(), name=TOMBSTONE_NAME, state_reason="", require_sso=False):
            return False
        at_the_end()
    return True
