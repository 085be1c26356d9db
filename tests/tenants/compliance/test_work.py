"""Exports and erasures are done by one worker at a time; whoever lost them writes nothing more."""

import pytest
from django.db.models.functions import Now

from kernel.events.models import OutboxEvent
from tenants.compliance import work
from tenants.compliance.execution import erasing, exporting
from tenants.compliance.models import ErasureRequest, Export
from tests.cast import Person
from tests.tenants.administration.offices import call
from tests.tenants.compliance.house import ERASURES, EXPORTS, ask, export_row


def test_one_worker_at_a_time(owner: Person) -> None:
    export = export_row(owner, call(owner, "post", EXPORTS, {}).json()["id"])
    grip = work.take(Export, owner.organization.pk, export.pk)
    assert grip is not None
    assert work.take(Export, owner.organization.pk, export.pk) is None
    exporting.run_export(owner.organization.pk, export.pk)
    assert export_row(owner, export.public_id).state == "running"


def test_whoever_lost_the_work_writes_nothing_more(owner: Person) -> None:
    export = export_row(owner, call(owner, "post", EXPORTS, {}).json()["id"])
    slow = work.take(Export, owner.organization.pk, export.pk)
    with owner.acting():
        Export.objects.update(lease_until=Now() - work.LEASE)
    quick = work.take(Export, owner.organization.pk, export.pk)
    assert slow is not None
    assert quick is not None
    with pytest.raises(work.Lost):
        slow.change(done=99)
    with work.guarded(slow), owner.acting():
        slow.settle(state="failed")
    quick.change(done=7)
    assert (export_row(owner, export.public_id).done, export_row(owner, export.public_id).state) == (
        7,
        "running",
    )


def test_nobody_takes_up_what_another_organization_asked_for(owner: Person, stranger: Person) -> None:
    erasure_id = ask(owner, words=["jane.doe@customers.example"])
    with owner.acting():
        request = ErasureRequest.objects.get()
    assert work.take(ErasureRequest, stranger.organization.pk, request.pk) is None
    erasing.advance(stranger.organization.pk, request.pk)
    assert call(owner, "get", f"{ERASURES}/{erasure_id}").json()["state"] == "finding"


def test_what_lies_forgotten_is_announced_again(owner: Person) -> None:
    ask(owner, words=["jane.doe@customers.example"])

    def announced() -> int:
        with owner.acting():
            return OutboxEvent.objects.filter(name=ErasureRequest.EVENT).count()

    assert announced() == 1
    work.revive()
    assert announced() == 1
    with owner.acting():
        ErasureRequest.objects.update(created_at=Now() - work.FORGOTTEN * 2)
    assert work.revive() >= 1
    assert announced() == 2
