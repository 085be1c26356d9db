"""Limits and prices in the serving snapshot: what the gateways read, with what was used until then."""

from datetime import UTC, datetime
from typing import Any

import orjson

from inference.deployments import snapshot
from inference.deployments.valkey import valkey
from inference.gateway.admission.bounds import LimitsEntry, PricesEntry
from inference.gateway.entries import PRICES, read_entry
from kernel.ids import uuid7
from tenants.access.models import ApiKey, Member
from tenants.access.services import groups
from tenants.limits.kinds import Kind, Scope, Subject
from tenants.limits.models import Price
from tenants.limits.services.bounds import WHOLE, remove_limit, set_limit
from tenants.limits.services.spend import Charge, charge
from tests.cast import Person


def entry_of(person: Person) -> LimitsEntry | None:
    name = f"lw:snapshot:limits:{person.organization.pk}"
    value: Any = valkey().get(name)
    entry = read_entry(name, value) if value is not None else None
    assert entry is None or isinstance(entry, LimitsEntry)
    return entry


def on_plan(person: Person, name: str) -> None:
    with person.acting():
        person.organization.plan = name
        person.organization.save(update_fields=["plan"])


def test_an_organization_without_limits_has_no_entry(owner: Person) -> None:
    on_plan(owner, "self_hosted")
    snapshot.publish_limits(owner.organization.pk)
    assert entry_of(owner) is None


def test_what_the_plan_allows_is_published_with_what_was_used_today(owner: Person) -> None:
    one = Charge(datetime.now(UTC), owner.project.pk, None, uuid7(), "a", "b", 40, 2)
    with owner.acting():
        charge([one])
    for publish in (lambda: snapshot.publish_limits(owner.organization.pk), snapshot.publish_everything):
        valkey().delete(f"lw:snapshot:limits:{owner.organization.pk}")
        publish()
        entry = entry_of(owner)
        assert entry is not None
        bounds = {bound.kind: bound for bound in entry.bounds}
        assert bounds["tokens_per_day"].used == 42
        assert bounds["tokens_per_day"].period == datetime.now(UTC).date().isoformat()
        assert bounds["requests_per_minute"].value == 120
        assert "storage_bytes" not in bounds


def test_a_groups_limit_is_published_with_its_members(owner: Person, teammate: Person) -> None:
    with owner.acting():
        group = groups.make_group("Careful people")
        groups.add_to_group(group, Member.objects.get(user=teammate.user), by=None)
        limit = set_limit(Subject(Scope.GROUP, group.pk), Kind.REQUESTS_PER_MINUTE, 3)
    snapshot.publish_limits(owner.organization.pk)
    entry = entry_of(owner)
    assert entry is not None
    assert entry.groups == {str(teammate.user.pk): (str(group.pk),)}
    assert [(b.scope, b.value) for b in entry.bounds if b.subject_id] == [("group", 3)]
    with owner.acting():
        remove_limit(limit)
    snapshot.publish_everything()
    entry = entry_of(owner)
    assert entry is not None
    assert not [bound for bound in entry.bounds if bound.subject_id]


def test_a_key_is_published_after_its_organizations_limits(owner: Person) -> None:
    with owner.acting():
        set_limit(WHOLE, Kind.CONCURRENT_STREAMS, 1)
        key_id = ApiKey.objects.get().pk
    valkey().delete(f"lw:snapshot:limits:{owner.organization.pk}")
    snapshot.publish_key(owner.organization.pk, key_id)
    assert entry_of(owner) is not None


def test_prices_are_published_by_the_million_tokens(stores: Any) -> None:
    name = f"model-{uuid7().hex}"
    Price.objects.create(
        model=name, input_microunits_per_million_tokens=7, output_microunits_per_million_tokens=9
    )
    snapshot.publish_prices()
    value: Any = valkey().get(PRICES)
    entry = read_entry(PRICES, value)
    assert isinstance(entry, PricesEntry)
    assert entry.prices[name] == (7, 9)
    assert entry.cost(name, "", 1_000_000, 1_000_000) == 16
    assert entry.cost("unknown", name, 1, 0) == 1
    assert orjson.loads(value)["prices"][name] == [7, 9]
