"""What the gateways may know of a key follows it, its maker, its projects and its organization."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from django.conf import settings

from inference.deployments import snapshot
from inference.deployments.valkey import valkey
from tenants.access.models import ApiKey, Member
from tenants.access.permissions import Role
from tenants.access.secrets import keyed_hash
from tenants.access.services import groups, keys, members, roles, service_accounts
from tenants.access.services.roles import BuiltIn
from tenants.organizations.services import lifecycle
from tenants.organizations.services.policies import list_models, unlist_models
from tenants.organizations.services.projects import archive_project, start_project
from tests.cast import Person, new_person
from tests.inference.deployments.house import deliver

WITHIN_SECONDS = 2.0


def name_of(secret: str) -> str:
    return f"lw:snapshot:key:{keyed_hash(secret, settings.API_KEY_PEPPER)}"


def entry_of(secret: str) -> Any:
    value = valkey().get(name_of(secret))
    return orjson.loads(value) if isinstance(value, bytes) else None


def project_entry(person: Person) -> Any:
    value = valkey().get(f"lw:snapshot:project:{person.project.pk}")
    return orjson.loads(value) if isinstance(value, bytes) else None


def soon(person: Person, act: Callable[[], Any]) -> None:
    """Do it in the person's organization, and let what it tells be delivered, in time."""
    with person.acting():
        act()
    began = time.monotonic()
    deliver(person)
    assert time.monotonic() - began < WITHIN_SECONDS


def test_both_secrets_are_published_while_a_rotation_overlaps(owner: Person) -> None:
    deliver(owner)
    with owner.acting():
        new = keys.rotate_key(ApiKey.objects.get(), overlap_seconds=3600, by=owner.principal)
    deliver(owner)
    old, present = entry_of(owner.secret), entry_of(new.secret)
    assert old["key_id"] == present["key_id"] == str(new.key.pk)
    assert present["expires_at"] is None
    assert abs(old["expires_at"] - (time.time() + 3600)) < 10
    assert snapshot.publish_everything() >= 0
    assert entry_of(owner.secret) == old
    with owner.acting():
        newest = keys.rotate_key(new.key, overlap_seconds=0, by=owner.principal)
    deliver(owner)
    assert entry_of(owner.secret) is entry_of(new.secret) is None
    soon(owner, lambda: keys.revoke_api_key(newest.key))
    assert entry_of(newest.secret) is None


def test_a_revocation_ends_both_secrets_even_after_the_store_was_wiped(owner: Person) -> None:
    with owner.acting():
        new = keys.rotate_key(ApiKey.objects.get(), overlap_seconds=3600, by=owner.principal)
    deliver(owner)
    valkey().delete(*valkey().scan_iter(match="lw:snapshot:*", count=1000))
    snapshot.publish_everything()
    assert entry_of(owner.secret)
    assert entry_of(new.secret)
    soon(owner, lambda: keys.revoke_api_key(new.key))
    assert entry_of(owner.secret) is entry_of(new.secret) is None


def test_a_secret_whose_overlap_has_ended_is_forgotten(owner: Person) -> None:
    with owner.acting():
        keys.rotate_key(ApiKey.objects.get(), overlap_seconds=3600, by=owner.principal)
    deliver(owner)
    with owner.acting():
        ApiKey.objects.update(previous_until=datetime.now(UTC) - timedelta(seconds=1))
    snapshot.publish_everything()
    assert entry_of(owner.secret) is None


def test_a_key_follows_its_makers_roles(owner: Person) -> None:
    worker = new_person(Role.MODEL_TRAINER, joining=owner)
    deliver(owner)
    assert "inference.complete" in entry_of(worker.secret)["permissions"]
    with owner.acting():
        member = Member.objects.get(user=worker.user)
    soon(owner, lambda: roles.unassign(BuiltIn(Role.MODEL_TRAINER), of=member))
    assert entry_of(worker.secret)["permissions"] == ["organization.read"]
    soon(owner, lambda: roles.assign(BuiltIn(Role.END_USER), to=member, project=owner.project))
    assert "inference.complete" in entry_of(worker.secret)["permissions"]


def test_the_keys_of_a_member_who_leaves_are_gone(owner: Person) -> None:
    worker = new_person(Role.MODEL_TRAINER, joining=owner)
    deliver(owner)
    assert entry_of(worker.secret)["refusal"] is None
    with owner.acting():
        member = Member.objects.get(user=worker.user)
    soon(owner, lambda: members.remove_member(member, by=None))
    assert entry_of(worker.secret) is None


def test_a_key_whose_maker_is_shut_out_by_any_way_is_refused(owner: Person) -> None:
    worker = new_person(Role.MODEL_TRAINER, joining=owner)
    deliver(owner)
    with owner.acting():
        Member.objects.filter(user=worker.user).update(deactivated_at=datetime.now(UTC))
    soon(owner, roles.tell_standing_changed)
    assert entry_of(worker.secret)["refusal"]["code"] == "key_owner_inactive"
    assert entry_of(worker.secret)["permissions"] == []


def test_a_change_of_one_publishes_nobody_elses_keys(owner: Person) -> None:
    one, other = (new_person(Role.VIEWER, joining=owner) for _ in range(2))
    deliver(owner)
    valkey().delete(name_of(other.secret))
    with owner.acting():
        found = {member.user_id: member for member in Member.objects.all()}
        group = groups.make_group("Trainers")
        roles.assign(BuiltIn(Role.MODEL_TRAINER), to=found[one.user.pk])
    deliver(owner)
    assert "inference.complete" in entry_of(one.secret)["permissions"]
    assert entry_of(other.secret) is None
    with owner.acting():
        groups.add_to_group(group, found[other.user.pk], by=owner.principal)
        roles.assign(BuiltIn(Role.MODEL_TRAINER), to=group)
    deliver(owner)
    assert "inference.complete" in entry_of(other.secret)["permissions"]


def test_an_archived_project_and_its_models_are_told(owner: Person) -> None:
    deliver(owner)
    assert (project_entry(owner)["refusal"], project_entry(owner)["models"]) == (None, None)
    soon(owner, lambda: list_models(owner.project, "allow_list", ["support"]))
    assert project_entry(owner)["models"] == {"mode": "allow_list", "model_ids": ["support"]}
    soon(owner, lambda: unlist_models(owner.project))
    assert project_entry(owner)["models"] is None
    soon(owner, lambda: archive_project(owner.project))
    assert project_entry(owner)["refusal"]["code"] == "project_archived"


def test_a_service_accounts_key_follows_its_role_and_ends_with_it(owner: Person) -> None:
    with owner.acting():
        account = service_accounts.make_account("Robot", owner.project, role="none", by=owner.principal)
        made = service_accounts.make_key(account, by=owner.principal)
    deliver(owner)
    assert (entry_of(made.secret)["permissions"], entry_of(made.secret)["maker_id"]) == ([], None)
    soon(
        owner,
        lambda: service_accounts.change_account(account, role="member", by=owner.principal),
    )
    assert "inference.complete" in entry_of(made.secret)["permissions"]
    soon(owner, lambda: service_accounts.delete_account(account))
    assert entry_of(made.secret) is None


def test_an_administration_key_is_no_business_of_the_gateways(owner: Person) -> None:
    with owner.acting():
        made = keys.make_admin_key(keys.KeyWish(name="Administration"), by=owner.principal)
    deliver(owner)
    snapshot.publish_everything()
    assert entry_of(made.secret) is None


def test_all_that_binds_a_key_is_published(owner: Person) -> None:
    with owner.acting():
        second = start_project("Second project")
        until = datetime.now(UTC) + timedelta(hours=1)
        wish = keys.KeyWish(
            name="Bound",
            permissions=["inference.complete"],
            projects=[second],
            models=["support"],
            networks=["10.0.0.0/8"],
            expires_at=until,
        )
        made = keys.make_project_key(wish, by=owner.principal)
    deliver(owner)
    entry = entry_of(made.secret)
    assert entry["projects"] == {str(second.pk): ["inference.complete"]}
    assert (entry["models"], entry["networks"]) == (["support"], ["10.0.0.0/8"])
    assert entry["expires_at"] == int(until.timestamp())


def test_a_suspension_is_told_with_the_projects_and_ends_as_fast(owner: Person) -> None:
    deliver(owner)
    soon(owner, lambda: lifecycle.suspend("Unpaid"))
    assert project_entry(owner)["refusal"]["code"] == "organization_suspended"
    snapshot.publish_everything()
    assert project_entry(owner)["refusal"]["code"] == "organization_suspended"
    # However many keys there are, none of them is published anew for this.
    assert entry_of(owner.secret)["refusal"] is None
    soon(owner, lifecycle.resume)
    assert project_entry(owner)["refusal"] is None
    soon(owner, lambda: lifecycle.request_close(owner.organization.name))
    assert project_entry(owner)["refusal"]["code"] == "organization_closing"
    soon(owner, lifecycle.undo_close)
    assert project_entry(owner)["refusal"] is None
