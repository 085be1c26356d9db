"""Projects over OpenAI's administration API: listed, made, renamed, archived."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from django.db import connections

from kernel.audit.models import AuditEntry
from kernel.tenancy.scope import acting_for
from tenants.access.models import ApiKey
from tenants.access.permissions import Role
from tenants.datasets.models import File
from tenants.organizations.models import Project
from tenants.organizations.services.projects import NameTaken, start_project
from tests.cast import Person, new_person
from tests.tenants.access.keyrings import answer_to
from tests.tenants.administration.offices import admin_client, call, refused
from tests.tenants.administration.published import conforms

PROJECTS = "/v1/organization/projects"


def test_the_official_client_makes_lists_renames_and_archives_projects(owner: Person) -> None:
    projects = admin_client(owner).admin.organization.projects
    made = projects.create(name="Research")
    assert (made.name, made.status, made.archived_at) == ("Research", "active", None)
    assert [project.id for project in projects.list()] == [owner.project.public_id, made.id]
    assert projects.retrieve(made.id).name == "Research"
    assert projects.update(made.id, name="Research and play").name == "Research and play"
    archived = projects.archive(made.id)
    assert archived.status == "archived"
    assert archived.archived_at is not None
    assert [project.id for project in projects.list()] == [owner.project.public_id]
    assert len(list(projects.list(include_archived=True))) == 2
    with pytest.raises(openai.PermissionDeniedError):
        projects.update(made.id, name="Again")


def test_answers_are_what_openai_publishes(owner: Person) -> None:
    made = conforms("Project", call(owner, "post", PROJECTS, {"name": "Research"}).json())
    one = f"{PROJECTS}/{made['id']}"
    conforms("ProjectListResponse", call(owner, "get", PROJECTS).json())
    conforms("Project", call(owner, "get", one).json())
    conforms("Project", call(owner, "post", one, {"name": "Play"}).json())
    conforms("Project", call(owner, "post", f"{one}/archive").json())
    conforms("ErrorResponse", call(owner, "post", one, {"name": "Again"}).json())


def test_a_list_is_cut_into_pages(owner: Person) -> None:
    for number in range(3):
        call(owner, "post", PROJECTS, {"name": f"Project {number}"})
    projects = admin_client(owner).admin.organization.projects
    names = ["Default project", "Project 0", "Project 1", "Project 2"]
    assert [project.name for project in projects.list(limit=2)] == names
    assert call(owner, "get", f"{PROJECTS}?limit=0").status_code == 400
    assert refused(call(owner, "get", f"{PROJECTS}?include_archived=perhaps"), 400, "invalid_request")
    assert refused(call(owner, "get", f"{PROJECTS}?after=proj_x"), 404, "not_found")


def test_an_archived_projects_keys_stop_at_once_and_nothing_of_it_is_deleted(owner: Person) -> None:
    worker = new_person(Role.DATA_ENGINEER, joining=owner)
    assert answer_to(worker.secret) == (200, None)
    with owner.acting():
        files = File.objects.count()
    one = f"{PROJECTS}/{owner.project.public_id}"
    assert call(owner, "post", f"{one}/archive").json()["status"] == "archived"
    assert answer_to(worker.secret) == answer_to(owner.secret) == (403, "project_archived")
    session = owner.browser.get("/api/v1/session").json()
    assert (session["project"], session["projects"]) == (None, [])
    assert refused(call(owner, "get", "/v1/files"), 400, "no_project")
    assert call(owner, "get", one).json()["status"] == "archived"
    assert call(owner, "post", f"{one}/archive").status_code == 200
    with owner.acting():
        assert File.objects.count() == files
        assert ApiKey.objects.filter(revoked_at=None).count() == 2
        assert AuditEntry.objects.filter(action="project.archive").count() == 1


def test_an_archived_project_cannot_be_changed_or_get_keys(owner: Person) -> None:
    one = f"{PROJECTS}/{owner.project.public_id}"
    call(owner, "post", f"{one}/archive")
    policy = {"mode": "allow_list", "model_ids": []}
    for address, body in (
        (one, {"name": "x"}),
        (f"{one}/service_accounts", {"name": "x"}),
        (f"{one}/model_permissions", policy),
        (f"{one}/data_retention", {"retention_type": "none"}),
    ):
        assert refused(call(owner, "post", address, body), 403, "project_archived"), address


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\u202eb"}, "name"),
        ({"name": 5}, "name"),
        ({"name": "x", "residency": "EU_STORAGE_PROCESSING"}, "residency"),
        ({"name": "x", "external_key_id": "key"}, "external_key_id"),
        ({"name": "x", "colour": "red"}, "colour"),
    ],
)
def test_a_project_that_makes_no_sense_is_refused_by_name(
    owner: Person, body: dict[str, Any], param: str
) -> None:
    answer = call(owner, "post", PROJECTS, body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    with owner.acting():
        assert Project.objects.count() == 1


def test_two_projects_cannot_have_one_name(owner: Person, stranger: Person) -> None:
    made = call(owner, "post", PROJECTS, {"name": "Research"}).json()
    assert refused(call(owner, "post", PROJECTS, {"name": "Research"}), 409, "name_taken")
    other = f"{PROJECTS}/{owner.project.public_id}"
    assert refused(call(owner, "post", other, {"name": "Research"}), 409, "name_taken")
    assert call(stranger, "post", PROJECTS, {"name": "Research"}).status_code == 200
    assert call(owner, "post", f"{PROJECTS}/{made['id']}", {"name": "Research"}).status_code == 200


def test_of_many_at_once_one_gets_the_name(owner: Person) -> None:
    def start(_: int) -> bool:
        try:
            with acting_for(owner.organization.pk):
                start_project("Wanted by all")
        except NameTaken:
            return False
        else:
            return True
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(start, range(6))).count(True) == 1


def test_a_strangers_project_does_not_exist(owner: Person, stranger: Person) -> None:
    one = f"{PROJECTS}/{owner.project.public_id}"
    assert call(owner, "get", one).status_code == 200
    assert call(stranger, "get", one).status_code == 404
    assert call(stranger, "post", one, {"name": "Mine"}).status_code == 404
    assert call(stranger, "post", f"{one}/archive").status_code == 404
    assert owner.project.public_id not in call(stranger, "get", PROJECTS).content.decode()
    assert call(owner, "get", one).json()["name"] == "Default project"


def test_a_member_knows_of_the_projects_opened_to_them_and_changes_none(owner: Person) -> None:
    hidden = call(owner, "post", PROJECTS, {"name": "Hidden"}).json()["id"]
    viewer = new_person(Role.VIEWER, joining=owner)
    listed = call(viewer, "get", PROJECTS).json()["data"]
    assert [project["id"] for project in listed] == [owner.project.public_id]
    assert call(viewer, "get", f"{PROJECTS}/{owner.project.public_id}").status_code == 200
    assert call(viewer, "get", f"{PROJECTS}/{hidden}").status_code == 404
    assert refused(call(viewer, "post", PROJECTS, {"name": "Mine"}), 403, "permission_denied")
    auditor = new_person(Role.AUDITOR, joining=owner)
    assert len(call(auditor, "get", PROJECTS).json()["data"]) == 2


def test_a_projects_key_knows_its_own_project_only(owner: Person) -> None:
    other = call(owner, "post", PROJECTS, {"name": "Other"}).json()["id"]
    assert owner.program.get(f"{PROJECTS}/{owner.project.public_id}").status_code == 200
    assert owner.program.get(f"{PROJECTS}/{other}").status_code == 403
    assert owner.program.get(PROJECTS).status_code == 403
