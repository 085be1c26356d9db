"""The secrets of caches: published for the gateways, others after each change, gone with the key."""

from io import StringIO
from typing import Any
from uuid import UUID

import orjson
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db.models.functions import Now

from inference.deployments import caches, services, snapshot
from inference.deployments.models import CacheGeneration
from inference.deployments.valkey import valkey
from inference.gateway.cache.secret import open_secret, sealing_key
from inference.gateway.entries import CacheEntry, read_entry
from kernel.audit.models import AuditEntry
from kernel.crypto import keys
from kernel.ids import uuid7
from kernel.ports.erasure import Fate, Subject, Trace, keeper_named, no_beat
from tenants.access.permissions import Role
from tenants.organizations.models import Organization
from tenants.organizations.services import encryption
from tests.cast import Person, new_person
from tests.inference.deployments.fake_pod import FakePod
from tests.inference.deployments.house import deliver, deployment_of, published
from tests.tenants.compliance.house import erase

CACHE = "/api/v1/organization/cache"
BASE = services.PROJECT_BASE_MODEL


def entry_of(person: Person) -> CacheEntry | None:
    name = f"lw:snapshot:cache:{person.organization.pk}"
    value: Any = valkey().get(name)
    entry = read_entry(name, value) if value is not None else None
    assert entry is None or isinstance(entry, CacheEntry)
    return entry


def secret_of(person: Person) -> bytes:
    """The secret as a gateway opens it."""
    entry = entry_of(person)
    assert entry is not None
    sealing = sealing_key(settings.API_KEY_PEPPER)
    return open_secret(sealing, entry.sealed, UUID(entry.organization_id), entry.generation)


def keep_something(person: Person) -> str:
    name = f"lw:cache:{{{person.organization.pk}}}:entry:00"
    valkey().set(name, b"sealed", ex=60)
    return name


@pytest.fixture
def owner(owner: Person, pod: FakePod) -> Person:
    """Has made an API key, and so has a cache."""
    deliver(owner)
    return owner


def test_whoever_has_made_a_key_has_a_cache_that_the_gateways_can_open(owner: Person) -> None:
    entry = entry_of(owner)
    assert entry is not None
    assert (entry.organization_id, entry.generation) == (str(owner.organization.pk), 1)
    assert len(secret_of(owner)) == 32
    assert secret_of(owner) not in entry.sealed


def test_each_organization_has_a_secret_of_its_own(owner: Person, stranger: Person) -> None:
    deliver(stranger)
    assert secret_of(owner) != secret_of(stranger)


def test_publishing_again_changes_nothing_and_asks_no_provider(
    owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = entry_of(owner)

    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("kernel.crypto.keys.unwrap_row", refuse)
    assert caches.publish(owner.organization.pk) == 0
    snapshot.publish_everything()
    assert entry_of(owner) == before


@pytest.mark.parametrize("altered", [None, b"{}", b"nonsense", b'{"sealed": "AAAA"}'])
def test_what_is_missing_or_altered_is_mended_with_the_whole(owner: Person, altered: bytes | None) -> None:
    secret, name = secret_of(owner), f"lw:snapshot:cache:{owner.organization.pk}"
    valkey().delete(name)
    if altered is not None:
        valkey().set(name, altered)
    snapshot.publish_everything()
    assert secret_of(owner) == secret


def test_a_rotation_gives_another_secret(owner: Person) -> None:
    before = secret_of(owner)
    encryption.rotate(owner.organization.pk)
    deliver(owner)
    assert secret_of(owner) != before


def test_while_the_organizations_key_is_refused_there_is_no_cache(owner: Person) -> None:
    before = secret_of(owner)
    with owner.acting():
        Organization.objects.update(key_refused_at=Now())
    caches.publish(owner.organization.pk)
    assert entry_of(owner) is None
    with owner.acting():
        Organization.objects.update(key_refused_at=None)
    snapshot.publish_everything()
    assert secret_of(owner) == before


def test_once_the_key_is_destroyed_there_is_none_any_more(owner: Person) -> None:
    keys.destroy_keys(owner.organization.pk)
    snapshot.publish_everything()
    assert entry_of(owner) is None
    caches.begin(owner.organization.pk)
    assert entry_of(owner) is None


def test_where_nothing_of_requests_is_to_be_kept_nothing_is(owner: Person) -> None:
    answer = owner.browser.post(
        "/v1/organization/data_retention",
        {"retention_type": "enhanced_zero_data_retention"},
        content_type="application/json",
    )
    assert answer.status_code == 200
    snapshot.publish_everything()
    assert entry_of(owner) is None


def test_clearing_gives_a_new_generation_and_drops_what_was_kept(owner: Person, stranger: Person) -> None:
    deliver(stranger)
    before, theirs, name, other = (
        secret_of(owner),
        secret_of(stranger),
        keep_something(owner),
        keep_something(stranger),
    )
    answer = owner.browser.delete(CACHE)
    assert answer.status_code == 200
    assert answer.json()["generation"] == 2
    deliver(owner)
    entry = entry_of(owner)
    assert entry is not None
    assert entry.generation == 2
    assert secret_of(owner) != before
    assert not valkey().exists(name)
    assert secret_of(stranger) == theirs
    assert valkey().exists(other)
    with owner.acting():
        assert AuditEntry.objects.get(action="cache.clear").details == {"generation": 2}
    assert owner.browser.delete(CACHE).json()["generation"] == 3


def test_who_may_not_change_the_organization_may_not_clear_its_cache(owner: Person) -> None:
    member = new_person(Role.DEPLOYER, joining=owner)
    assert member.browser.delete(CACHE).status_code == 403
    with owner.acting():
        assert not CacheGeneration.objects.exists()


def test_an_operator_clears_it_from_the_machine_without_a_worker(owner: Person) -> None:
    before, name, output = secret_of(owner), keep_something(owner), StringIO()
    call_command("cache_clear", "--organization", str(owner.organization.pk), stdout=output)
    assert "Generation 2" in output.getvalue()
    assert secret_of(owner) != before
    assert not valkey().exists(name)
    with pytest.raises(CommandError):
        call_command("cache_clear", "--organization", str(uuid7()))


def test_an_erasure_empties_the_cache(owner: Person) -> None:
    before, name = secret_of(owner), keep_something(owner)
    assert erase(owner, words=["nobody@people.example"])["state"] == "completed"
    deliver(owner)
    assert secret_of(owner) != before
    assert not valkey().exists(name)


def test_where_something_of_somebody_goes_the_plan_names_the_cache_and_it_goes_at_once(owner: Person) -> None:
    keeper, subject = (
        keeper_named("kept answers"),
        Subject(organization_id=owner.organization.pk, words=("somebody",)),
    )
    rows = Trace(kind="rows", place="a file", count=1, fate=Fate.REWRITTEN)
    assert list(keeper.find(subject, [], no_beat)) == []
    (trace,) = keeper.find(subject, [rows], no_beat)
    before, name = secret_of(owner), keep_something(owner)
    keeper.erase(subject, [trace], no_beat)
    assert secret_of(owner) != before
    assert not valkey().exists(name)


def test_with_its_organization_the_cache_ends(owner: Person) -> None:
    name = keep_something(owner)
    keeper_named("kept answers").erase(Subject(organization_id=owner.organization.pk), (), no_beat)
    assert entry_of(owner) is None
    assert not valkey().exists(name)


def test_a_deployment_can_be_kept_from_caching(owner: Person, stranger: Person) -> None:
    address = f"/api/v1/deployments/{deployment_of(owner, BASE).public_id}/cache"
    assert published(owner)[BASE]["caches"] is True

    def put(person: Person, body: object) -> Any:
        return person.browser.put(address, orjson.dumps(body).decode(), content_type="application/json")

    assert put(stranger, {"caches": False}).status_code == 404
    for wrong in ({}, {"caches": "no"}, {"caches": False, "more": 1}):
        assert put(owner, wrong).status_code == 400
    answer = put(owner, {"caches": False})
    assert answer.status_code == 200
    assert answer.json()["caches"] is False
    deliver(owner)
    assert published(owner)[BASE]["caches"] is False
    with owner.acting():
        assert AuditEntry.objects.get(action="deployment.update").details == {
            "before": {"caches": True},
            "after": {"caches": False},
        }
