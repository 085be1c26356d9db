"""Data retention and model permissions over OpenAI's administration API, and what they change."""

from typing import Any

import pytest

from kernel.audit.models import AuditEntry
from tenants.access.models import Member
from tenants.access.permissions import MATRIX, Permission, Role
from tenants.organizations.models import Project
from tests.cast import Person, new_person
from tests.inference.deployments.house import base_model, deliver
from tests.tenants.access.keyrings import JSON, made, program
from tests.tenants.administration.offices import admin_client, call, refused
from tests.tenants.administration.published import conforms

RETENTION = "/v1/organization/data_retention"


def of_project(person: Person, what: str) -> str:
    return f"/v1/organization/projects/{person.project.public_id}/{what}"


def test_the_official_client_reads_and_changes_what_is_kept(owner: Person) -> None:
    organization = admin_client(owner).admin.organization
    assert organization.data_retention.retrieve().type == "zero_data_retention"
    changed = organization.data_retention.update(retention_type="modified_abuse_monitoring")
    assert changed.type == organization.data_retention.retrieve().type == "modified_abuse_monitoring"
    project, retention = owner.project.public_id, organization.projects.data_retention
    assert retention.retrieve(project).type == "organization_default"
    assert retention.update(project, retention_type="none").type == "none"
    with owner.acting():
        entry = AuditEntry.objects.get(action="organization.update")
    assert entry.details["before"] == {"data_retention": "zero_data_retention"}
    assert entry.details["after"] == {"data_retention": "modified_abuse_monitoring"}


def test_the_official_client_reads_changes_and_deletes_model_permissions(owner: Person) -> None:
    models = admin_client(owner).admin.organization.projects.model_permissions
    project = owner.project.public_id
    before = models.retrieve(project)
    assert (before.mode, before.model_ids) == ("deny_list", [])
    listed = models.update(project, mode="allow_list", model_ids=["support", "support", "sales"])
    assert (listed.mode, listed.model_ids) == ("allow_list", ["support", "sales"])
    assert models.retrieve(project).model_ids == ["support", "sales"]
    assert models.delete(project).deleted
    assert not models.delete(project).deleted
    assert models.retrieve(project).mode == "deny_list"


def test_answers_are_what_openai_publishes(owner: Person) -> None:
    kept = {"retention_type": "enhanced_zero_data_retention"}
    conforms("OrganizationDataRetention", call(owner, "get", RETENTION).json())
    conforms("OrganizationDataRetention", call(owner, "post", RETENTION, kept).json())
    conforms("ProjectDataRetention", call(owner, "get", of_project(owner, "data_retention")).json())
    conforms("ProjectDataRetention", call(owner, "post", of_project(owner, "data_retention"), kept).json())
    models, listed = of_project(owner, "model_permissions"), {"mode": "deny_list", "model_ids": ["x"]}
    conforms("ProjectModelPermissions", call(owner, "get", models).json())
    conforms("ProjectModelPermissions", call(owner, "post", models, listed).json())
    conforms("ProjectModelPermissionsDeleteResponse", call(owner, "delete", models).json())


@pytest.mark.parametrize(
    ("what", "body", "param"),
    [
        ("data_retention", {"retention_type": "forever"}, "retention_type"),
        ("data_retention", {}, "retention_type"),
        ("model_permissions", {"mode": "maybe", "model_ids": []}, "mode"),
        ("model_permissions", {"mode": "allow_list"}, "model_ids"),
        ("model_permissions", {"mode": "allow_list", "model_ids": [""]}, "model_ids"),
        ("model_permissions", {"mode": "allow_list", "model_ids": ["a\u200bb"]}, "model_ids"),
        ("model_permissions", {"mode": "allow_list", "model_ids": ["x" * 201]}, "model_ids"),
        ("model_permissions", {"mode": "allow_list", "model_ids": "x"}, "model_ids"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(
    owner: Person, what: str, body: dict[str, Any], param: str
) -> None:
    answer = call(owner, "post", of_project(owner, what), body)
    assert (answer.status_code, answer.json()["error"]["param"].partition(".")[0]) == (400, param)


def test_a_policy_of_a_project_is_not_one_of_the_organization(owner: Person) -> None:
    answer = call(owner, "post", RETENTION, {"retention_type": "organization_default"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "retention_type")


def test_a_model_that_is_not_listed_is_neither_trained_nor_talked_to(owner: Person) -> None:
    base = base_model().name
    deliver(owner)
    models = of_project(owner, "model_permissions")
    order = {"model": base, "training_file": "file-none"}
    assert refused(call(owner, "post", "/v1/fine_tuning/jobs", order), 400, "file_not_found")
    call(owner, "post", models, {"mode": "deny_list", "model_ids": [base]})
    talk = {"model": base}
    assert refused(call(owner, "post", "/v1/fine_tuning/jobs", order), 403, "model_not_found")
    assert refused(call(owner, "post", "/api/v1/conversations", talk), 403, "model_not_found")
    unknown = {**order, "model": "no-such-model"}
    call(owner, "post", models, {"mode": "allow_list", "model_ids": ["another"]})
    assert refused(call(owner, "post", "/v1/fine_tuning/jobs", unknown), 403, "model_not_found")
    call(owner, "delete", models)
    assert call(owner, "post", "/api/v1/conversations", talk).status_code == 201


def test_a_key_for_some_models_trains_no_other(owner: Person) -> None:
    base = base_model().name
    order = {"model": base, "training_file": "file-none"}
    bound, free = made(owner, models=["support"]), made(owner, models=[base])
    refusal = program(bound["secret"]).post("/v1/fine_tuning/jobs", order, content_type=JSON)
    assert refused(refusal, 403, "model_not_found")
    other = program(free["secret"]).post("/v1/fine_tuning/jobs", order, content_type=JSON)
    assert other.json()["error"]["param"] == "training_file"


def test_a_strangers_policies_do_not_exist(owner: Person, stranger: Person) -> None:
    for what, body in (
        ("data_retention", {"retention_type": "none"}),
        ("model_permissions", {"mode": "allow_list", "model_ids": []}),
    ):
        address = of_project(owner, what)
        assert call(owner, "get", address).status_code == 200
        assert call(stranger, "get", address).status_code == 404
        assert call(stranger, "post", address, body).status_code == 404
    assert call(stranger, "delete", of_project(owner, "model_permissions")).status_code == 404
    call(stranger, "post", RETENTION, {"retention_type": "modified_abuse_monitoring"})
    assert call(owner, "get", RETENTION).json()["type"] == "zero_data_retention"
    with owner.acting():
        assert Project.objects.get().model_list is None
        assert Member.objects.count() == 1


@pytest.mark.parametrize("role", [role for role in Role if Permission.POLICY_WRITE not in MATRIX[role]])
def test_roles_without_the_permission_change_nothing(owner: Person, role: Role) -> None:
    member = new_person(role, joining=owner)
    body = {"retention_type": "modified_abuse_monitoring"}
    assert refused(call(member, "post", RETENTION, body), 403, "permission_denied")
