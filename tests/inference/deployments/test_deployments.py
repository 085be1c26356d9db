"""Deployments: what is wanted comes to run, under the very hash that was asked for, and stays."""

import pytest
from django.test import override_settings

from inference.deployments.execution import MAX_ATTEMPTS
from inference.deployments.reconciliation import reconcile
from inference.deployments.services import PROJECT_BASE_MODEL
from kernel.audit.models import AuditEntry
from kernel.ids import render
from kernel.storage import objects
from tests.cast import Person
from tests.inference.deployments.fake_pod import FakePod, adapter
from tests.inference.deployments.house import (
    base_model,
    deliver,
    deployment_of,
    payload_of,
    published,
    register,
)
from training.registry.models import BaseModel
from training.registry.services import announce


def test_a_new_project_can_talk_to_the_base_model_at_once(owner: Person, pod: FakePod) -> None:
    names = deliver(owner)
    assert "inference.deployment.ready.v1" in names
    deployment = deployment_of(owner, PROJECT_BASE_MODEL)
    assert (deployment.state, deployment.digest) == ("ready", base_model().digest)
    assert pod.probed == [f"base-{base_model().digest}"]


def test_a_model_version_is_served_under_its_name_and_its_hash(owner: Person, pod: FakePod) -> None:
    digest, archive = adapter(b"one")
    version = register(owner, digest, archive)
    deliver(owner)
    deployment = deployment_of(owner, version.name)
    assert (deployment.state, deployment.digest) == ("ready", digest)
    assert pod.adapters == {f"adapter-{digest}"}
    assert pod.probed[-1] == f"adapter-{digest}"
    payload = payload_of(owner, "inference.deployment.ready.v1")
    assert payload["deployment_id"] == str(deployment.pk)
    assert payload["model_version_id"] == str(version.pk)
    assert payload["alias"] == version.name
    with owner.acting():
        read = AuditEntry.objects.get(action="model_version.read")
    assert (read.actor, read.target, read.details) == (
        "system",
        version.public_id,
        {"deployment": deployment.public_id},
    )


def test_an_event_delivered_twice_makes_one_deployment(owner: Person, pod: FakePod) -> None:
    digest, archive = adapter(b"twice")
    version = register(owner, digest, archive)
    deliver(owner)
    # The registry tells again what nobody seems to have heard.
    with owner.acting():
        announce(version)
    assert "inference.deployment.ready.v1" in deliver(owner)
    assert deployment_of(owner, version.name).state == "ready"
    assert pod.pushed == [f"adapter-{digest}"]


def test_a_pod_that_lost_its_adapters_gets_them_again(owner: Person, pod: FakePod) -> None:
    digest, archive = adapter(b"lost")
    version = register(owner, digest, archive)
    deliver(owner)
    pod.restart()
    reconcile()
    assert f"adapter-{digest}" in pod.adapters
    assert deployment_of(owner, version.name).state == "ready"
    deliver(owner)
    assert published(owner)[version.name]["state"] == "ready"


def test_a_base_prepared_anew_is_served_under_its_new_hash(owner: Person, pod: FakePod) -> None:
    deliver(owner)
    base = base_model()
    renewed = "c" * 64
    try:
        BaseModel.objects.filter(pk=base.pk).update(digest=renewed)
        pod.base = f"base-{renewed}"
        reconcile()
        deliver(owner)
        deployment = deployment_of(owner, PROJECT_BASE_MODEL)
        assert (deployment.state, deployment.digest) == ("ready", renewed)
        assert published(owner)[PROJECT_BASE_MODEL]["digest"] == renewed
    finally:
        BaseModel.objects.filter(pk=base.pk).update(digest=base.digest)


def test_an_adapter_that_nobody_wants_leaves_the_pod(owner: Person, pod: FakePod) -> None:
    digest, archive = adapter(b"unwanted")
    version = register(owner, digest, archive)
    deliver(owner)
    deployment = deployment_of(owner, version.name)
    answer = owner.browser.post(f"/api/v1/deployments/{deployment.public_id}/stop")
    assert (answer.status_code, answer.json()["state"]) == (200, "stopped")
    deliver(owner)
    reconcile()
    assert f"adapter-{digest}" not in pod.adapters
    assert published(owner)[version.name]["state"] == "stopped"
    answer = owner.browser.post(f"/api/v1/deployments/{deployment.public_id}/start")
    assert answer.json()["state"] == "loading"
    deliver(owner)
    assert deployment_of(owner, version.name).state == "ready"
    assert f"adapter-{digest}" in pod.adapters


def test_starting_what_runs_is_a_conflict(owner: Person, pod: FakePod) -> None:
    deliver(owner)
    deployment = deployment_of(owner, PROJECT_BASE_MODEL)
    answer = owner.browser.post(f"/api/v1/deployments/{deployment.public_id}/start")
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "conflict"


def test_an_adapter_with_other_content_than_its_name_says_fails(owner: Person, pod: FakePod) -> None:
    _, archive = adapter(b"tampered")
    version = register(owner, "0" * 64, archive)
    names = deliver(owner)
    assert "inference.deployment.failed.v1" in names
    deployment = deployment_of(owner, version.name)
    assert (deployment.state, deployment.fault) == ("failed", "adapter_refused")
    shown = owner.browser.get(f"/api/v1/deployments/{deployment.public_id}").json()
    assert "digest" in shown["error"]
    assert shown["model_version_id"] == render("mv", version.pk)
    assert payload_of(owner, "inference.deployment.failed.v1")["error"] == shown["error"]


def test_an_adapter_whose_files_are_gone_fails(owner: Person, pod: FakePod) -> None:
    digest, archive = adapter(b"gone")
    version = register(owner, digest, archive)
    objects.delete(owner.organization.pk, version.object_key)
    deliver(owner)
    deployment = deployment_of(owner, version.name)
    assert (deployment.state, deployment.fault) == ("failed", "artifact_unreadable")


def test_a_pod_that_answers_as_another_model_is_never_ready(owner: Person, pod: FakePod) -> None:
    pod.answers_as = "adapter-of-somebody-else"
    digest, archive = adapter(b"mistaken")
    version = register(owner, digest, archive)
    deliver(owner)
    deployment = deployment_of(owner, version.name)
    assert (deployment.state, deployment.fault) == ("failed", "identity_mismatch")


def test_a_pod_that_is_away_is_waited_for_and_then_given_up(owner: Person, pod: FakePod) -> None:
    pod.status = 503
    deliver(owner)
    deployment = deployment_of(owner, PROJECT_BASE_MODEL)
    assert (deployment.state, deployment.fault) == ("loading", "pod_unreachable")
    for _ in range(MAX_ATTEMPTS):
        reconcile()
    assert deployment_of(owner, PROJECT_BASE_MODEL).state == "failed"
    assert deliver(owner).count("inference.deployment.failed.v1") == 1
    pod.status = None
    reconcile()
    assert deployment_of(owner, PROJECT_BASE_MODEL).state == "ready"
    assert "inference.deployment.ready.v1" in deliver(owner)


def test_a_wrong_pod_key_is_told_and_not_held_against_the_adapter(owner: Person, pod: FakePod) -> None:
    with override_settings(POD_KEY="another key than the pod's"):
        deliver(owner)
    deployment = deployment_of(owner, PROJECT_BASE_MODEL)
    assert (deployment.state, deployment.fault) == ("loading", "pod_unreachable")
    assert "key" in deployment.error


def test_a_stranger_cannot_see_that_a_deployment_exists(
    owner: Person, stranger: Person, pod: FakePod
) -> None:
    deliver(owner)
    path = f"/api/v1/deployments/{deployment_of(owner, PROJECT_BASE_MODEL).public_id}"
    for browser in (stranger.browser, stranger.program):
        assert browser.get(path).status_code == 404
        assert browser.post(f"{path}/stop").status_code == 404
        assert browser.post(f"{path}/start").status_code == 404
        assert path.rsplit("/", 1)[1] not in browser.get("/api/v1/deployments").content.decode()
    assert deployment_of(owner, PROJECT_BASE_MODEL).state == "ready"


def test_a_teammate_sees_the_projects_deployments(owner: Person, teammate: Person, pod: FakePod) -> None:
    deliver(owner)
    [shown] = teammate.browser.get("/api/v1/deployments").json()["data"]
    assert shown.keys() == {
        "id",
        "alias",
        "state",
        "model_version_id",
        "base_model",
        "digest",
        "error",
        "created_at",
        "caches",
        "updated_at",
    }
    assert shown["model_version_id"] is None
    assert shown["error"] is None


@pytest.mark.parametrize("identifier", ["dep-zz", "dep-" + "0" * 32, "file-" + "0" * 32, "x"])
def test_an_unknown_deployment_is_not_found(owner: Person, identifier: str) -> None:
    answer = owner.browser.get(f"/api/v1/deployments/{identifier}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
