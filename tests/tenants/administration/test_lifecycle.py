"""The life of an organization: renamed, closed after a grace period, kept after all, erased."""

import io
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.apps import apps
from django.core import mail
from django.db import connection
from django.db.models.functions import Now

from inference.deployments import snapshot
from inference.deployments.valkey import valkey
from kernel.audit.models import AuditEntry
from kernel.crypto import keys
from kernel.crypto.errors import KeyDestroyed
from kernel.crypto.models import OrganizationKey
from kernel.storage import objects
from kernel.storage.client import bucket
from kernel.storage.names import prefix_of
from kernel.tenancy.models import TenantOwned
from kernel.tenancy.scope import acting_for
from tenants.access.services import groups
from tenants.administration import closing, notices
from tenants.datasets.models import File
from tenants.limits.models import PlatformEntry
from tenants.organizations.models import Organization
from tenants.organizations.services import erasure
from tests.cast import Person
from tests.tenants.administration.offices import call, refused

ROW = b'{"messages":[{"role":"user","content":"2+2?"},{"role":"assistant","content":"4"}]}\n'


def close(person: Person, name: str | None = None) -> Any:
    body = {"name": person.organization.name if name is None else name}
    return call(person, "post", "/api/v1/organization/closing", body)


def let_the_grace_period_end(person: Person) -> None:
    with person.acting():
        Organization.objects.update(erase_at=Now() - timedelta(seconds=1))


def with_things(person: Person) -> str:
    """A file, a group, an audit log and entries in the snapshot; gives the file's object key."""
    uploaded = person.program.post("/v1/files", {"file": io.BytesIO(ROW), "purpose": "fine-tune"})
    assert uploaded.status_code == 200
    with person.acting():
        groups.make_group("A group")
        key: str = File.objects.get().object_key
    snapshot.publish_everything()
    return key


def rows_left(organization_id: UUID) -> dict[str, int]:
    left = {}
    with acting_for(organization_id):
        for model in apps.get_models():
            if issubclass(model, TenantOwned) and model is not OrganizationKey:
                left[model._meta.label] = model.objects.count()
    return {label: count for label, count in left.items() if count}


def test_an_administrator_renames_it_and_others_cannot(owner: Person, teammate: Person) -> None:
    renamed = call(owner, "patch", "/api/v1/organization", {"name": "Søren & Co."})
    assert renamed.json()["name"] == "Søren & Co."
    assert teammate.browser.get("/api/v1/organization").json()["name"] == "Søren & Co."
    assert refused(
        call(teammate, "patch", "/api/v1/organization", {"name": "Mine"}), 403, "permission_denied"
    )
    for bad in ("", "  ", "a\nb", "x" * 101):
        assert call(owner, "patch", "/api/v1/organization", {"name": bad}).status_code == 400


def test_closing_asks_for_the_exact_name(owner: Person) -> None:
    for wrong in ("", "Organization", owner.organization.name.upper()):
        assert close(owner, wrong).status_code == 400
    assert owner.browser.get("/api/v1/organization").json()["state"] == "active"
    closing_now = close(owner)
    assert closing_now.json()["state"] == "closing"
    assert closing_now.json()["erase_at"]


def test_only_an_owner_closes_it(owner: Person, teammate: Person) -> None:
    assert refused(close(teammate), 403, "permission_denied")


def test_while_it_closes_data_can_be_read_and_an_owner_can_keep_it(owner: Person) -> None:
    assert close(owner).status_code == 200
    assert owner.browser.get("/v1/files").status_code == 200
    refusal = owner.browser.post("/v1/files", {"file": io.BytesIO(ROW), "purpose": "fine-tune"})
    assert refused(refusal, 403, "organization_closing")
    assert closing.erase_due() == 0
    assert owner.browser.delete("/api/v1/organization/closing").json()["state"] == "active"
    assert (
        owner.browser.post("/v1/files", {"file": io.BytesIO(ROW), "purpose": "fine-tune"}).status_code == 200
    )


def test_members_are_told_that_it_will_close(owner: Person, teammate: Person, settings_with: Any) -> None:
    close(owner)
    with settings_with(EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend"):
        mail.outbox = []
        notices.send_closing(owner.organization.pk)
        assert {message.to[0] for message in mail.outbox} == {owner.user.email, teammate.user.email}
        call(owner, "delete", "/api/v1/organization/closing")
        mail.outbox = []
        notices.send_closing(owner.organization.pk)
        assert mail.outbox == []


def test_after_the_grace_period_everything_is_erased_and_a_tombstone_stays(
    owner: Person, stranger: Person
) -> None:
    organization_id = owner.organization.pk
    object_key = with_things(owner)
    theirs = with_things(stranger)
    close(owner)
    let_the_grace_period_end(owner)
    assert closing.erase_due() == 1
    assert rows_left(organization_id) == {}
    assert not list(valkey().scan_iter(match=f"lw:snapshot:*{owner.project.pk}*", count=1000))
    listed = bucket().client.list_objects_v2(Bucket=bucket().name, Prefix=prefix_of(organization_id))
    assert listed["KeyCount"] == 0
    with pytest.raises(KeyDestroyed):
        keys.key_for(organization_id)
    with acting_for(organization_id):
        tombstone = Organization.objects.get()
    assert (tombstone.state, tombstone.name) == ("closed", erasure.TOMBSTONE_NAME)
    assert tombstone.erased_at is not None
    assert owner.organization.name not in str(tombstone)
    assert PlatformEntry.objects.filter(action="organization.erase", target=tombstone.public_id).count() == 1
    assert object_key != theirs
    assert objects.exists(stranger.organization.pk, theirs)
    assert rows_left(stranger.organization.pk)["datasets.File"] == 1
    assert owner.browser.get("/api/v1/organization").status_code == 401


def test_erasing_it_twice_is_once(owner: Person) -> None:
    close(owner)
    let_the_grace_period_end(owner)
    assert closing.erase_due() == 1
    assert closing.erase_due() == 0
    assert not erasure.erase(owner.organization.pk, at_the_end=lambda: pytest.fail("erased twice"))


@pytest.mark.parametrize("after", [0, 1, 5, 12, 30])
def test_an_erasure_that_dies_midway_is_brought_to_its_end_by_the_next(
    owner: Person, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_things(owner)
    close(owner)
    let_the_grace_period_end(owner)
    tables = 0
    erase_rows = erasure._erase_rows

    def die_later(organization_id: UUID, model: Any) -> None:
        nonlocal tables
        if tables == after:
            raise ConnectionError("The process is gone.")
        tables += 1
        erase_rows(organization_id, model)

    with monkeypatch.context() as patched:
        patched.setattr(erasure, "_erase_rows", die_later)
        assert closing.erase_due() == 0
    assert owner.browser.get("/v1/files").status_code == 401
    assert closing.erase_due() == 1
    assert rows_left(owner.organization.pk) == {}


def test_an_organization_whose_grace_period_lasts_cannot_be_erased(owner: Person) -> None:
    with_things(owner)
    close(owner)
    assert not erasure.erase(owner.organization.pk, at_the_end=lambda: pytest.fail("erased"))
    assert rows_left(owner.organization.pk)["datasets.File"] == 1


def test_the_log_of_an_organization_that_is_not_closed_cannot_be_deleted(owner: Person) -> None:
    with owner.acting(), pytest.raises(Exception, match="append-only"):
        AuditEntry.objects.all().delete()


def test_every_append_only_table_of_an_organization_goes_with_it(stores: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, pg_get_functiondef(t.tgfoid) FROM pg_trigger t "
            "JOIN pg_class c ON c.oid = t.tgrelid "
            "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'organization_id' "
            "WHERE t.tgname = 'append_only'"
        )
        found = cursor.fetchall()
    assert found
    assert [name for name, definition in found if "'closed'" not in definition] == []
