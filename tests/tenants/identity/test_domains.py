"""Domains are an organization's once it has proved them, and for as long as it can."""

import secrets
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from kernel.audit.models import AuditEntry
from kernel.errors import InvalidRequest
from kernel.events.models import OutboxEvent
from tenants.access.permissions import Role
from tenants.identity import tasks
from tenants.identity.models import Domain
from tenants.identity.sso.names import domain_name, domain_of
from tests.cast import Person, new_person
from tests.tenants.identity.name_server import NameServer

DOMAINS = "/api/v1/organization/domains"
JSON = "application/json"


def claim(person: Person, name: str) -> dict[str, Any]:
    answer = person.browser.post(DOMAINS, {"name": name}, content_type=JSON)
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()
    return found


def publish(names: NameServer, claimed: dict[str, Any]) -> None:
    names.texts[claimed["record"]["name"]] = ["something else", claimed["record"]["value"]]


def verify(person: Person, claimed: dict[str, Any]) -> Any:
    return person.browser.post(f"{DOMAINS}/{claimed['id']}/verify")


def a_name() -> str:
    return f"{secrets.token_hex(6)}.example"


def test_a_domain_is_proved_by_its_text_record(owner: Person, names: NameServer) -> None:
    name = a_name()
    claimed = claim(owner, f" {name.upper()}. ")
    assert (claimed["name"], claimed["status"]) == (name, "pending")
    assert claimed["record"]["name"] == f"_loomworks-verification.{name}"
    publish(names, claimed)
    answer = verify(owner, claimed)
    assert (answer.status_code, answer.json()["status"]) == (200, "verified")
    assert owner.browser.get(DOMAINS).json()["data"][0]["verified_at"]
    with owner.acting():
        assert OutboxEvent.objects.filter(name="tenants.domain.verified.v1").exists()
        assert set(AuditEntry.objects.values_list("action", flat=True)) >= {"domain.claim", "domain.verify"}


def test_a_domain_without_its_record_is_not_verified(owner: Person, names: NameServer) -> None:
    claimed = claim(owner, a_name())
    answer = verify(owner, claimed)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "domain_not_proved")
    assert claimed["record"]["value"] in answer.json()["error"]["message"]


def test_anothers_record_proves_nothing(owner: Person, stranger: Person, names: NameServer) -> None:
    name = a_name()
    publish(names, claim(stranger, name))
    assert verify(owner, claim(owner, name)).json()["error"]["code"] == "domain_not_proved"


def test_a_verified_domain_belongs_to_one_organization(
    owner: Person, stranger: Person, names: NameServer
) -> None:
    name = a_name()
    first = claim(owner, name)
    publish(names, first)
    assert verify(owner, first).status_code == 200
    second = claim(stranger, name)
    names.texts[second["record"]["name"]].append(second["record"]["value"])
    answer = verify(stranger, second)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "domain_taken")
    assert owner.organization.name not in answer.content.decode()
    assert owner.organization.public_id not in answer.content.decode()
    assert owner.browser.delete(f"{DOMAINS}/{first['id']}").status_code == 204
    assert verify(stranger, second).status_code == 200


def test_a_stranger_does_not_find_the_domain(owner: Person, stranger: Person, names: NameServer) -> None:
    claimed = claim(owner, a_name())
    publish(names, claimed)
    address = f"{DOMAINS}/{claimed['id']}"
    assert owner.browser.get(address).status_code == 200
    assert stranger.browser.get(address).status_code == 404
    assert stranger.browser.post(f"{address}/verify").status_code == 404
    assert stranger.browser.delete(address).status_code == 404
    assert stranger.browser.get(DOMAINS).json()["data"] == []


def test_a_member_without_the_permission_reads_at_most(owner: Person, names: NameServer) -> None:
    claimed = claim(owner, a_name())
    auditor = new_person(Role.AUDITOR, joining=owner)
    viewer = new_person(Role.VIEWER, joining=owner)
    assert auditor.browser.get(DOMAINS).status_code == 200
    assert auditor.browser.delete(f"{DOMAINS}/{claimed['id']}").status_code == 403
    assert viewer.browser.get(DOMAINS).status_code == 403
    assert verify(viewer, claimed).status_code == 403


def test_a_domain_is_claimed_once(owner: Person) -> None:
    name = a_name()
    claim(owner, name)
    answer = owner.browser.post(DOMAINS, {"name": name.upper()}, content_type=JSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "domain_claimed")


@pytest.mark.parametrize(
    "name",
    ["", "com", "a@b.example", "no spaces.example", "-a.example", "1.2.3.4", "a..example", "x\0.example"],
)
def test_what_is_no_domain_is_refused(owner: Person, name: str) -> None:
    answer = owner.browser.post(DOMAINS, {"name": name}, content_type=JSON)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "name")


def test_an_international_name_has_one_form() -> None:
    assert domain_name("Bücher.example") == "xn--bcher-kva.example"
    assert domain_of("who@xn--bcher-kva.example") == "xn--bcher-kva.example"
    assert domain_of("who@evil.example@good.example") is None
    with pytest.raises(InvalidRequest):
        domain_name("a" * 64 + ".example")


def test_a_silent_name_server_takes_no_domain_away(
    owner: Person, names: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenants.identity.sso.dns.TIMEOUT_SECONDS", 0.5)
    claimed = standing(owner, names)
    names.is_silent = True
    assert verify(owner, claimed).status_code == 503
    make_due(owner)
    tasks.recheck_domains()
    assert show(owner, claimed)["status"] == "verified"


def test_a_vanished_record_warns_first_and_costs_the_domain_after_seven_days(
    owner: Person, names: NameServer
) -> None:
    claimed = standing(owner, names)
    names.texts.clear()
    make_due(owner)
    tasks.recheck_domains()
    assert show(owner, claimed)["status"] == "failing"
    assert happened(owner, "tenants.domain.failing.v1") == 1
    make_due(owner, failing_since=Now() - timedelta(days=6, hours=23))
    tasks.recheck_domains()
    assert show(owner, claimed)["status"] == "failing"
    make_due(owner, failing_since=Now() - timedelta(days=7, minutes=1))
    tasks.recheck_domains()
    assert show(owner, claimed)["status"] == "pending"
    assert happened(owner, "tenants.domain.lost.v1") == 1
    assert happened(owner, "tenants.domain.failing.v1") == 1


def test_a_record_that_is_back_ends_the_warning(owner: Person, names: NameServer) -> None:
    claimed = standing(owner, names)
    make_due(owner, failing_since=Now() - timedelta(days=3))
    tasks.recheck_domains()
    assert show(owner, claimed) | {"failing_since": None, "status": "verified"} == show(owner, claimed)


def test_a_domain_is_looked_at_once_a_day(owner: Person, names: NameServer) -> None:
    claimed = standing(owner, names)
    names.texts.clear()
    tasks.recheck_domains()
    assert show(owner, claimed)["status"] == "verified"


def standing(person: Person, names: NameServer) -> dict[str, Any]:
    claimed = claim(person, a_name())
    publish(names, claimed)
    assert verify(person, claimed).status_code == 200
    return claimed


def make_due(person: Person, **fields: Any) -> None:
    with person.acting():
        Domain.objects.update(checked_at=Now() - timedelta(hours=25), **fields)


def show(person: Person, claimed: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = person.browser.get(f"{DOMAINS}/{claimed['id']}").json()
    return found


def happened(person: Person, name: str) -> int:
    with person.acting():
        return OutboxEvent.objects.filter(name=name).count()
