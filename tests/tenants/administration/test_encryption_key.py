"""An organization's encryption over REST: its own key in AWS KMS or Vault, rotation, re-encryption."""

import io
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from django.db.models.functions import Now
from django.test import override_settings

from inference.deployments.valkey import valkey
from kernel.audit.models import AuditEntry
from kernel.crypto import keys, reencryption
from kernel.crypto.errors import KeyRefused, KeyUnavailable
from kernel.crypto.models import OrganizationKey, OwnKey
from kernel.events.models import OutboxEvent
from kernel.storage import objects
from tenants.administration import tasks
from tenants.organizations.services import encryption
from tests.cast import Person
from tests.inference.deployments.house import deliver
from tests.kernel.crypto.keepers import (
    ACCOUNT,
    FakeKms,
    FakeVault,
    kms_of_the_platform,
    vault_of_the_platform,
)
from tests.tenants.administration.offices import call, refused

ADDRESS = "/api/v1/encryption-key"
JOB = f"{ADDRESS}/re-encryption"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/loomworks"
TOKEN = "hvs.a-token-of-the-customer"
ROW = b'{"messages":[{"role":"user","content":"2+2?"},{"role":"assistant","content":"4"}]}\n'


@pytest.fixture
def customers_vault(stores: Any) -> Iterator[FakeVault]:
    """A Vault that an organization names; this machine may be asked on its behalf."""
    with vault_of_the_platform() as keeper:
        keeper.tokens.add(TOKEN)
        keeper.keys["ours"] = b"v" * 32
        port = urlsplit(keeper.url).port
        with override_settings(
            EGRESS_ALLOWED_NETWORKS=[ip_network("127.0.0.1/32")],
            EGRESS_ALLOWED_PORTS=[443, port],
            EGRESS_ALLOW_PLAIN_HTTP=True,
        ):
            yield keeper


@pytest.fixture
def customers_kms(stores: Any) -> Iterator[FakeKms]:
    """AWS, with the accounts of the platform and of its customers."""
    with kms_of_the_platform() as keeper:
        yield keeper


def in_vault(vault: FakeVault, **changes: Any) -> dict[str, Any]:
    return {"provider": "vault", "key": "ours", "address": vault.url, "token": TOKEN, **changes}


def in_kms(kms: FakeKms, person: Person) -> dict[str, Any]:
    kms.roles[ROLE] = str(person.organization.pk)
    return {"provider": "aws_kms", "key": kms.new_key(), "role": ROLE}


def bring(person: Person, body: dict[str, Any]) -> dict[str, Any]:
    answer = call(person, "put", ADDRESS, body)
    assert answer.status_code == 200, answer.content
    shown: dict[str, Any] = answer.json()
    return shown


def with_a_file(person: Person) -> str:
    uploaded = person.program.post("/v1/files", {"file": io.BytesIO(ROW), "purpose": "fine-tune"})
    assert uploaded.status_code == 200, uploaded.content
    return f"/v1/files/{uploaded.json()['id']}/content"


def status_of(person: Person, address: str) -> tuple[int, str | None]:
    """What a program is told of a file's content; with keys asked of their providers now."""
    keys.cache.forget(person.organization.pk)
    answer = person.program.get(address)
    if answer.status_code == 200:
        assert b"".join(answer) == ROW
        return 200, None
    return answer.status_code, answer.json()["error"]["code"]


def told(person: Person) -> list[str]:
    with person.acting():
        names = OutboxEvent.objects.filter(resource="encryption_key").order_by("sequence")
        return [name.split(".")[2] for name in names.values_list("name", flat=True)]


def test_the_key_is_shown_without_any_secret(owner: Person, teammate: Person) -> None:
    with_a_file(owner)
    shown = call(owner, "get", ADDRESS).json()
    assert (shown["version"], shown["older_versions"], shown["own_key"]) == (1, 0, None)
    assert shown["external_id"] == str(owner.organization.pk)
    assert refused(call(teammate, "get", ADDRESS), 403, "permission_denied")
    assert refused(call(teammate, "post", f"{ADDRESS}/rotate", {}), 403, "permission_denied")


def test_rotation_seals_with_a_new_version_and_the_old_content_opens(owner: Person) -> None:
    address = with_a_file(owner)
    shown = call(owner, "post", f"{ADDRESS}/rotate", {}).json()
    assert (shown["version"], shown["older_versions"]) == (2, 1)
    assert status_of(owner, address) == (200, None)
    assert told(owner) == ["rotated"]


def test_everything_is_re_encrypted_and_the_old_version_goes(
    owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = with_a_file(owner)
    call(owner, "post", f"{ADDRESS}/rotate", {})
    assert refused(call(owner, "get", JOB), 404, "not_found")
    assert call(owner, "post", JOB, {}).json()["state"] == "running"
    assert call(owner, "post", f"{JOB}/cancel", {}).json()["state"] == "cancelled"
    assert refused(call(owner, "post", f"{JOB}/cancel", {}), 409, "re_encryption_state")
    assert call(owner, "post", f"{JOB}/resume", {}).json()["state"] == "running"
    assert refused(call(owner, "post", f"{JOB}/resume", {}), 409, "re_encryption_state")
    encryption_turns(owner)
    done = call(owner, "get", JOB).json()
    assert (done["state"], done["left_in_pass"]) == ("done", 0)
    shown = call(owner, "get", ADDRESS).json()
    assert shown["values_under_older_versions"] == 0
    assert refused(call(owner, "post", f"{ADDRESS}/retire-older", {}), 409, "encryption_keys_in_use")
    monkeypatch.setattr(reencryption, "RETIRED_AFTER", timedelta(0))
    assert call(owner, "post", f"{ADDRESS}/retire-older", {}).json() == {"retired": 1}
    assert status_of(owner, address) == (200, None)
    assert told(owner)[-1] == "finished"


def encryption_turns(person: Person) -> None:
    """What the worker does as long as it is told that more is due."""
    for _ in range(20):
        tasks.reencryption.take_a_turn(person.organization.pk)
        if call(person, "get", JOB).json()["state"] != "running":
            return
    raise AssertionError("The re-encryption does not end.")


def revoke_and_restore(person: Person, address: str, keeper: FakeVault | FakeKms, revoke: Any) -> None:
    """Cut off at the keeper, the organization is out of service in both planes, and comes back by itself."""
    revoke(True)
    keys.cache.forget(person.organization.pk)
    with pytest.raises(KeyRefused):
        keys.key_for(person.organization.pk)
    encryption.watch_all()
    deliver(person)
    assert status_of(person, address) == (503, "key_unavailable")
    entry = valkey().get(f"lw:snapshot:project:{person.project.pk}")
    assert orjson.loads(entry)["refusal"]["code"] == "key_unavailable"  # type: ignore[arg-type]
    assert orjson.loads(entry)["refusal"]["status"] == 503  # type: ignore[arg-type]
    shown = call(person, "get", ADDRESS)
    assert shown.json()["own_key"]["refused_at"] is not None
    assert refused(call(person, "get", "/api/v1/api-keys"), 503, "key_unavailable")
    revoke(False)
    encryption.watch_all()
    deliver(person)
    assert status_of(person, address) == (200, None)
    entry = valkey().get(f"lw:snapshot:project:{person.project.pk}")
    assert orjson.loads(entry)["refusal"] is None  # type: ignore[arg-type]
    assert told(person)[-2:] == ["refused", "restored"]
    with person.acting():
        actions = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
    assert [one for one in actions if one.startswith("encryption_key")][-2:] == [
        "encryption_key.refuse",
        "encryption_key.restore",
    ]


def test_a_key_in_vault_takes_over_everything_and_its_revocation_cuts_access(
    owner: Person,
    customers_vault: FakeVault,
) -> None:
    address = with_a_file(owner)
    deliver(owner)
    shown = bring(owner, in_vault(customers_vault))
    assert shown["own_key"]["key"] == "ours"
    assert TOKEN not in str(shown)
    with owner.acting():
        assert set(OrganizationKey.objects.values_list("own_key_id", flat=True)) == {OwnKey.objects.get().pk}
        assert TOKEN.encode() not in bytes(OwnKey.objects.get().sealed_token)
    assert status_of(owner, address) == (200, None)
    kept = dict(customers_vault.keys)

    def revoke(away: bool) -> None:
        customers_vault.tokens.discard(TOKEN) if away else customers_vault.tokens.add(TOKEN)

    revoke_and_restore(owner, address, customers_vault, revoke)
    assert customers_vault.keys == kept


def test_a_key_in_kms_takes_over_everything_and_its_revocation_cuts_access(
    owner: Person,
    customers_kms: FakeKms,
) -> None:
    address = with_a_file(owner)
    deliver(owner)
    body = in_kms(customers_kms, owner)
    bring(owner, body)
    assert status_of(owner, address) == (200, None)
    revoke_and_restore(
        owner,
        address,
        customers_kms,
        lambda away: customers_kms.states.update({body["key"]: "Disabled" if away else ""}),
    )
    # The role that is taken back is obeyed at once, too.
    revoke_and_restore(
        owner,
        address,
        customers_kms,
        lambda away: customers_kms.roles.update({ROLE: "" if away else str(owner.organization.pk)}),
    )


def test_a_keeper_that_is_long_away_takes_the_organization_out_too(
    owner: Person, customers_vault: FakeVault
) -> None:
    bring(owner, in_vault(customers_vault))
    customers_vault.is_sealed = True
    encryption.watch_all()
    assert "refused" not in told(owner)
    with owner.acting():
        OwnKey.objects.update(answered_at=Now() - timedelta(seconds=301))
    encryption.watch_all()
    encryption.watch_all()
    assert told(owner).count("refused") == 1
    customers_vault.is_sealed = False
    encryption.watch_all()
    assert told(owner)[-1] == "restored"


def test_new_access_to_the_same_key_mends_what_was_refused(owner: Person, customers_vault: FakeVault) -> None:
    address = with_a_file(owner)
    bring(owner, in_vault(customers_vault))
    customers_vault.tokens.discard(TOKEN)
    encryption.watch_all()
    assert refused(call(owner, "delete", ADDRESS), 503, "key_unavailable")
    customers_vault.tokens.add("hvs.another")
    shown = bring(owner, in_vault(customers_vault, token="hvs.another"))
    assert shown["own_key"]["refused_at"] is None
    assert status_of(owner, address) == (200, None)


def test_a_key_is_exchanged_and_removed_again(
    owner: Person, customers_vault: FakeVault, customers_kms: FakeKms
) -> None:
    address = with_a_file(owner)
    bring(owner, in_vault(customers_vault))
    call(owner, "post", f"{ADDRESS}/rotate", {})
    bring(owner, in_kms(customers_kms, owner))
    customers_vault.keys.clear()
    assert status_of(owner, address) == (200, None)
    assert call(owner, "delete", ADDRESS).json()["own_key"] is None
    customers_kms.keys.clear()
    assert status_of(owner, address) == (200, None)
    assert refused(call(owner, "delete", ADDRESS), 404, "encryption_key_absent")


def test_a_backup_from_before_does_not_open_without_the_organizations_own_key(
    owner: Person, customers_vault: FakeVault
) -> None:
    with_a_file(owner)
    before = keys.newest(owner.organization.pk, keys.CONTENT)
    assert before is not None
    bring(owner, in_vault(customers_vault))
    with pytest.raises(KeyUnavailable):
        keys.unwrap_row(before)


@pytest.mark.parametrize(
    ("changes", "status", "code", "param"),
    [
        ({"key": "absent"}, 400, "encryption_key_unusable", None),
        ({"token": "hvs.wrong"}, 400, "encryption_key_unusable", None),
        ({"token": ""}, 400, "invalid_request", "token"),
        ({"key": "../sys"}, 400, "invalid_request", "key"),
        ({"mount": "a/../b"}, 400, "invalid_request", "mount"),
        ({"address": "https://127.0.0.1:1/"}, 400, "address_refused", "address"),
        ({"address": "no address"}, 400, "address_refused", "address"),
        ({"provider": "aws_kms"}, 400, "invalid_request", "key"),
        ({"provider": "pkcs11"}, 400, "invalid_value", "provider"),
        ({"surprise": 1}, 400, "unknown_parameter", "surprise"),
    ],
)
def test_a_key_that_cannot_be_used_changes_nothing(
    owner: Person,
    customers_vault: FakeVault,
    changes: dict[str, Any],
    status: int,
    code: str,
    param: str | None,
) -> None:
    address = with_a_file(owner)
    answer = call(owner, "put", ADDRESS, in_vault(customers_vault, **changes))
    assert answer.status_code == status, answer.content
    error = answer.json()["error"]
    assert (error["param"], param is None or error["param"] == param) == (param, True), error
    assert code in (error["code"], "invalid_value", "unknown_parameter"), error
    assert call(owner, "get", ADDRESS).json()["own_key"] is None
    assert status_of(owner, address) == (200, None)


def test_a_role_that_another_organization_named_is_not_assumed(
    owner: Person,
    stranger: Person,
    customers_kms: FakeKms,
) -> None:
    body = in_kms(customers_kms, owner)
    bring(owner, body)
    assert refused(call(stranger, "put", ADDRESS, body), 400, "encryption_key_unusable")


def test_a_key_without_a_role_of_its_own_account_is_refused(owner: Person, customers_kms: FakeKms) -> None:
    """Without one the platform would ask in its own name, for a key that may be anybody's."""
    body = in_kms(customers_kms, owner)
    for role in ("", "arn:aws:iam::999900001111:role/loomworks", "no role"):
        answer = call(owner, "put", ADDRESS, {**body, "role": role})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "role")


def test_a_repeated_rotation_with_the_same_idempotency_key_rotates_once(owner: Person) -> None:
    with_a_file(owner)
    browser = owner.browser
    answers = [
        browser.post(
            f"{ADDRESS}/rotate", {}, content_type="application/json", headers={"Idempotency-Key": "k1"}
        )
        for _ in range(2)
    ]
    assert [answer.json()["version"] for answer in answers] == [2, 2]
    assert call(owner, "get", ADDRESS).json()["version"] == 2


def test_shredding_reaches_content_under_the_organizations_own_key(
    owner: Person, customers_vault: FakeVault
) -> None:
    with_a_file(owner)
    bring(owner, in_vault(customers_vault))
    row = keys.newest(owner.organization.pk, keys.CONTENT)
    assert row is not None
    keys.destroy_keys(owner.organization.pk)
    with pytest.raises(KeyRefused):
        keys.unwrap_row(row)
    assert objects.delete_everything(owner.organization.pk) >= 1
