"""The serving snapshot: what the gateway may know, soon after it is so, and never what is no longer so."""

import threading
import time
from typing import Any, cast

import orjson
from django.conf import settings

from inference.deployments import snapshot
from inference.deployments.reconciliation import reconcile
from inference.deployments.services import PROJECT_BASE_MODEL
from inference.deployments.valkey import valkey
from inference.gateway.entries import KeyEntry, ProjectEntry, read_entry
from tenants.access.models import ApiKey
from tenants.access.secrets import keyed_hash
from tenants.access.services import keys
from tenants.organizations.services import policies
from tests.cast import Person
from tests.inference.deployments.fake_pod import FakePod, adapter
from tests.inference.deployments.house import base_model, deliver, published, register

READY = "lw:snapshot:ready"


def name_of_key(person: Person) -> str:
    return f"lw:snapshot:key:{keyed_hash(person.secret, settings.API_KEY_PEPPER)}"


def value_of(name: str) -> Any:
    value = valkey().get(name)
    return orjson.loads(value) if isinstance(value, bytes) else None


def wipe() -> None:
    names = list(valkey().scan_iter(match="lw:snapshot:*", count=1000))
    valkey().delete(*names)


def test_a_key_is_published_with_exactly_what_the_gateway_reads(owner: Person, pod: FakePod) -> None:
    deliver(owner)
    with owner.acting():
        key = ApiKey.objects.get()
    assert value_of(name_of_key(owner)) == {
        "key_id": str(key.pk),
        "organization_id": str(owner.organization.pk),
        "project_id": str(owner.project.pk),
        "name": key.name,
        "maker_id": str(owner.user.pk),
        "permissions": sorted(key.permissions),
        "projects": {},
        "models": [],
        "networks": [],
        "expires_at": None,
        "refusal": None,
    }
    entry = read_entry(name_of_key(owner), valkey().get(name_of_key(owner)))  # type: ignore[arg-type]
    assert isinstance(entry, KeyEntry)
    assert "inference.complete" in entry.projects[str(owner.project.pk)]
    assert owner.secret not in str(value_of(name_of_key(owner)))


def test_a_project_is_published_with_exactly_what_the_gateway_reads(owner: Person, pod: FakePod) -> None:
    digest, archive = adapter(b"published")
    version = register(owner, digest, archive)
    deliver(owner)
    base = base_model()
    shown = published(owner)[version.name]
    assert isinstance(shown.pop("created_at"), int)
    assert len(shown.pop("deployment_id")) == 36
    assert shown == {
        "alias": version.name,
        "model_version_id": str(version.pk),
        "state": "ready",
        "base_model": PROJECT_BASE_MODEL,
        "digest": digest,
        "adapter_id": f"adapter-{digest}",
        "backends": [{"kind": "tgi", "url": pod.url, "features": ["grammar", "regex", "top_logprobs"]}],
        "chat_template": base.chat_template,
        "eos_token": base.eos_token,
        "bos_token": base.bos_token,
        "context_tokens": base.context_tokens,
        "restricted": False,
        "caches": True,
        "default_max_tokens": 1024,
    }
    name = f"lw:snapshot:project:{owner.project.pk}"
    entry = read_entry(name, valkey().get(name))  # type: ignore[arg-type]
    assert isinstance(entry, ProjectEntry)
    assert entry.deployments[version.name].served_as == f"adapter-{digest}"
    assert entry.deployments[PROJECT_BASE_MODEL].served_as == f"base-{base.digest}"


def test_what_is_stored_of_requests_is_told_to_the_gateways(owner: Person, pod: FakePod) -> None:
    def stores() -> bool:
        deliver(owner)
        found: bool = value_of(f"lw:snapshot:project:{owner.project.pk}")["stores_responses"]
        return found

    assert stores() is False
    with owner.acting():
        policies.change_retention("modified_abuse_monitoring")
    assert stores() is True
    with owner.acting():
        policies.change_project_retention(owner.project, "enhanced_zero_data_retention")
    assert stores() is False
    with owner.acting():
        policies.change_project_retention(owner.project, "none")
        policies.change_retention("zero_data_retention")
    assert stores() is True


def test_a_revoked_key_is_gone_within_two_seconds_and_the_gateways_are_told(
    owner: Person, pod: FakePod
) -> None:
    deliver(owner)
    assert value_of(name_of_key(owner)) is not None
    with cast(Any, valkey()).pubsub(ignore_subscribe_messages=True) as told:
        told.subscribe("lw:snapshot:changed")
        told.get_message(timeout=1.0)
        with owner.acting():
            keys.revoke_api_key(ApiKey.objects.get(), owner.principal)
        started = time.monotonic()
        deliver(owner)
        assert value_of(name_of_key(owner)) is None
        assert time.monotonic() - started < 2.0
        message = told.get_message(timeout=2.0)
        assert message is not None
        assert message["data"].decode() == name_of_key(owner)


def test_a_whole_publication_never_brings_a_revoked_key_back(owner: Person, pod: FakePod) -> None:
    deliver(owner)
    stopping = threading.Event()

    def publish_all_the_time() -> None:
        while not stopping.is_set():
            snapshot.publish_everything()

    publisher = threading.Thread(target=publish_all_the_time)
    publisher.start()
    names = []
    try:
        for number in range(15):
            with owner.acting():
                made = keys.make_api_key(f"key {number}", project=owner.project, by=owner.user)
            deliver(owner)
            with owner.acting():
                keys.revoke_api_key(made.key, owner.principal)
            deliver(owner)
            names.append(f"lw:snapshot:key:{made.key.secret_hash}")
            assert value_of(names[-1]) is None
    finally:
        stopping.set()
        publisher.join()
    assert [name for name in names if value_of(name) is not None] == []
    assert value_of(name_of_key(owner)) is not None


def test_a_wiped_snapshot_comes_back_whole(owner: Person, stranger: Person, pod: FakePod) -> None:
    deliver(owner)
    deliver(stranger)
    wipe()
    assert not snapshot.is_ready()
    reconcile()
    assert valkey().get(READY) == b"1"
    for person in (owner, stranger):
        assert value_of(name_of_key(person))["organization_id"] == str(person.organization.pk)
        assert published(person)[PROJECT_BASE_MODEL]["state"] == "ready"


def test_a_whole_publication_mends_what_is_wrong_and_removes_what_is_nobodys(
    owner: Person, pod: FakePod
) -> None:
    deliver(owner)
    forged = f"lw:snapshot:key:{'f' * 64}"
    valkey().set(forged, orjson.dumps({**value_of(name_of_key(owner)), "project_id": "x"}))
    valkey().set(f"lw:snapshot:project:{owner.project.pk}", b"{}")
    snapshot.publish_everything()
    assert value_of(forged) is None
    assert PROJECT_BASE_MODEL in published(owner)
    assert snapshot.publish_everything() == 0
