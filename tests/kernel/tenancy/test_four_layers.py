"""Isolation in depth: each of the four layers is taken away in turn, and the others stop the stranger."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch
from uuid import UUID

import psycopg
import pytest
from django.apps import apps
from django.db import connection

from config.onemachine.environment import Place, database_url
from kernel import ids
from kernel.crypto.errors import CiphertextAltered
from kernel.events import dispatcher
from kernel.storage import names, objects
from kernel.storage.errors import ForeignObjectKey
from kernel.tenancy.models import TenantManager, TenantOwned, TenantQuerySet
from kernel.tenancy.scope import acting_for
from kernel.webhooks import services
from tenants.access import endpoint as doors
from tenants.access import principal as principals
from tenants.access.permissions import Role
from tenants.datasets.models import File
from tests.cast import Person, new_person
from tests.conftest import Stores

ROWS = b'{"messages":[{"role":"user","content":"2+2?"},{"role":"assistant","content":"4"}]}\n' * 12
TENANT_TABLES = sorted(m._meta.db_table for m in apps.get_models() if issubclass(m, TenantOwned))


@dataclass(frozen=True)
class Belongings:
    """What an organization has, by the addresses at which it is seen."""

    file: File
    addresses: tuple[str, ...]
    lists: tuple[str, ...] = (
        "/v1/files",
        "/api/v1/webhooks",
        "/v1/organization/projects",
        "/v1/organization/users",
        "/api/v1/api-keys",
    )


@pytest.fixture
def belongings(owner: Person) -> Belongings:
    brought = owner.openai.files.create(file=("rows.jsonl", ROWS), purpose="fine-tune").id
    with owner.acting():
        webhook = services.create_webhook("https://hook.example/", ["tenants.*"]).endpoint
        file = File.objects.get(pk=ids.parse("file", brought))
    addresses = (
        f"/v1/files/{brought}",
        f"/v1/files/{brought}/content",
        f"/api/v1/files/{brought}/validation",
        f"/api/v1/webhooks/{webhook.public_id}",
        f"/api/v1/webhooks/{webhook.public_id}/deliveries",
        f"/v1/organization/projects/{owner.project.public_id}",
        f"/v1/organization/users/{owner.user.public_id}",
    )
    return Belongings(file, addresses)


@contextmanager
def no_manager(place: Place) -> Iterator[None]:
    """The first layer away: `objects` shows every organization's rows."""

    def unscoped(manager: Any) -> Any:
        return TenantQuerySet(manager.model, using=manager._db)

    with patch.object(TenantManager, "get_queryset", unscoped):
        yield


@contextmanager
def no_policies(place: Place) -> Iterator[None]:
    """The second layer away: no row-level security, lifted by the schema's owner, who alone can."""
    with psycopg.connect(database_url(place, owner=True), autocommit=True) as schema_owner:
        for table in TENANT_TABLES:
            schema_owner.execute(f'ALTER TABLE "{table}" DISABLE ROW LEVEL SECURITY')
        try:
            yield
        finally:
            for table in TENANT_TABLES:
                schema_owner.execute(f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY')


@contextmanager
def no_names(place: Place) -> Iterator[None]:
    """The third layer away: nothing looks whose an object's key is, and all share one WebSocket group."""
    with (
        patch.object(names, "require_own", lambda organization_id, key: None),
        patch.object(objects, "require_own", lambda organization_id, key: None, create=True),
        patch.object(dispatcher, "group_of", lambda organization_id: "events.everybody"),
    ):
        yield


@contextmanager
def no_permissions(place: Place) -> Iterator[None]:
    """The fourth layer away: everybody may do everything."""
    with (
        patch.object(principals, "_require", lambda permission, held: None),
        patch.object(doors.Endpoint, "_check", lambda endpoint, method: None),
    ):
        yield


LAYERS: dict[str, Callable[[Place], Any]] = {
    "manager": no_manager,
    "policies": no_policies,
    "names": no_names,
    "permissions": no_permissions,
}


@pytest.mark.parametrize("away", LAYERS)
def test_a_stranger_finds_nothing_with_one_layer_away(
    owner: Person, stranger: Person, belongings: Belongings, stores: Stores, away: str
) -> None:
    browser, outside = owner.browser, stranger.browser
    with LAYERS[away](stores.place):
        for address in belongings.addresses:
            assert browser.get(address).status_code == 200, address
            assert outside.get(address).status_code == 404, address
        for address in belongings.lists:
            seen = outside.get(address)
            assert seen.status_code == 200, address
            assert owner.organization.pk.hex not in seen.content.decode()
            for person_or_thing in (owner.user, owner.project, belongings.file):
                assert person_or_thing.public_id not in seen.content.decode(), address


@pytest.mark.parametrize("away", LAYERS)
def test_a_stranger_changes_nothing_with_one_layer_away(
    owner: Person, stranger: Person, belongings: Belongings, stores: Stores, away: str
) -> None:
    outside = stranger.browser
    with LAYERS[away](stores.place):
        for address in (belongings.addresses[0], belongings.addresses[3]):
            assert outside.delete(address).status_code == 404, address
        renamed = outside.post(belongings.addresses[5], {"name": "Mine"}, "application/json")
        assert renamed.status_code == 404
    for address in belongings.addresses:
        assert owner.browser.get(address).status_code == 200, address


def test_each_layer_is_really_away_when_it_is_taken_away(
    owner: Person, stranger: Person, belongings: Belongings, stores: Stores
) -> None:
    with no_manager(stores.place), no_policies(stores.place), stranger.acting():
        assert File.objects.filter(pk=belongings.file.pk).exists()
    for one in (no_manager, no_policies):
        with one(stores.place), stranger.acting():
            assert not File.objects.filter(pk=belongings.file.pk).exists()
    with no_names(stores.place):
        names.require_own(stranger.organization.pk, belongings.file.object_key)
    nobody = new_person(Role.END_USER, joining=owner)
    assert nobody.browser.get(belongings.addresses[3]).status_code == 403
    with no_permissions(stores.place):
        assert nobody.browser.get(belongings.addresses[3]).status_code == 200


def test_bytes_of_another_organization_do_not_open_even_where_all_locks_on_rows_are_away(
    owner: Person, stranger: Person, belongings: Belongings, stores: Stores
) -> None:
    own, key = stranger.organization.pk, belongings.file.object_key
    with ExitStack() as away:
        for layer in (no_manager, no_policies, no_permissions):
            away.enter_context(layer(stores.place))
        with pytest.raises(ForeignObjectKey):
            b"".join(objects.get(own, key))
        away.enter_context(no_names(stores.place))
        with pytest.raises(CiphertextAltered):
            b"".join(objects.get(own, key))
    assert b"".join(objects.get(owner.organization.pk, key)) == ROWS


def test_a_sealed_column_does_not_open_in_another_organization(owner: Person, stranger: Person) -> None:
    with owner.acting():
        endpoint = services.create_webhook("https://hook.example/", ["*"]).endpoint
    endpoint.organization_id = stranger.organization.pk
    with stranger.acting(), pytest.raises(CiphertextAltered):
        _ = endpoint.secret


def test_no_table_shows_a_row_without_an_organization_or_another_ones(
    owner: Person, stranger: Person, belongings: Belongings
) -> None:
    for table in tables_with_an_organization():
        with connection.cursor() as cursor:
            cursor.execute(f'SELECT count(*) FROM "{table}"')
            assert cursor.fetchone() == (0,), table
        with acting_for(stranger.organization.pk), connection.cursor() as cursor:
            cursor.execute(
                f'SELECT count(*) FROM "{table}" WHERE organization_id <> %s', [stranger.organization.pk]
            )
            assert cursor.fetchone() == (0,), table


def test_the_schema_names_the_same_tables_as_the_models(stores: Stores) -> None:
    assert set(TENANT_TABLES) <= set(tables_with_an_organization())


def tables_with_an_organization() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
            WHERE a.attname = 'organization_id' AND NOT a.attisdropped AND c.relkind IN ('r', 'p')
                AND c.relnamespace = 'public'::regnamespace ORDER BY 1
            """
        )
        return [row[0] for row in cursor.fetchall()]


def test_a_message_with_another_organizations_header_finds_nothing(
    owner: Person, stranger: Person, belongings: Belongings
) -> None:
    def process(organization_id: UUID) -> bool:
        with acting_for(organization_id):
            return bool(File.objects.filter(pk=belongings.file.pk).exists())

    assert process(owner.organization.pk)
    assert not process(stranger.organization.pk)
