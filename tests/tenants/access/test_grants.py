"""Single objects of a project: kept to some of its members, opened to members and groups by grants."""

from collections.abc import Callable
from typing import Any

import pytest
from guardian.shortcuts import assign_perm

from inference.chat import services as chat
from inference.deployments.entries import entries_of_projects
from inference.deployments.models import Deployment
from inference.gateway.contract import Principal as GatewayPrincipal
from inference.gateway.entries import read_entry
from kernel import ids
from kernel.audit.models import AuditEntry
from kernel.errors import NotFound
from kernel.events.models import OutboxEvent
from tenants.access.models import Member
from tenants.access.permissions import Permission, Role
from tenants.access.principal import Principal
from tenants.access.restrictable import codename_of
from tenants.access.services import grants, groups
from tenants.datasets.models import DatasetVersion, File
from tenants.organizations.services.projects import start_project
from tests.cast import Person, new_person
from tests.tenants.administration.offices import call, queries_of, refused
from training.registry.models import BaseModel, ModelVersion

GRANTS, RESTRICTIONS = "/api/v1/grants", "/api/v1/restrictions"


def a_file(person: Person, name: str = "a.jsonl") -> str:
    identifier: str = person.openai.files.create(file=(name, b"{}\n"), purpose="fine-tune").id
    return identifier


def a_deployment(person: Person, alias: str = "our-model") -> Deployment:
    with person.acting():
        made: Deployment = Deployment.objects.create(project=person.project, alias=alias, base_model="base")
    return made


def a_model(person: Person, name: str) -> ModelVersion:
    base, _ = BaseModel.objects.get_or_create(
        name="base-of-grants",
        defaults={
            "architecture": "llama",
            "parameters": 1,
            "context_tokens": 10,
            "digest": "0" * 64,
            "folder": "base",
            "chat_template": "",
            "eos_token": "e",
        },
    )
    with person.acting():
        made: ModelVersion = ModelVersion.objects.create(
            project=person.project, name=name, base_model=base, digest="1" * 64, bytes=1, object_key="k"
        )
    return made


def restrict(owner: Person, public_id: str, *, restricted: bool = True) -> None:
    answer = call(owner, "put", RESTRICTIONS, {"object": public_id, "restricted": restricted})
    assert (answer.status_code, answer.json()["restricted"]) == (200, restricted), answer.content


def grant(owner: Person, public_id: str, subject: str, *actions: str) -> Any:
    return call(owner, "put", GRANTS, {"object": public_id, "subject": subject, "actions": list(actions)})


def test_a_restricted_file_is_reached_by_who_it_is_opened_to_and_by_admins(owner: Person) -> None:
    engineer, other = (new_person(Role.DATA_ENGINEER, joining=owner) for _ in range(2))
    admin = new_person(Role.ADMIN, joining=owner)
    file = a_file(owner)
    address = f"/v1/files/{file}"
    assert {person.browser.get(address).status_code for person in (engineer, other, admin)} == {200}
    restrict(owner, file)
    assert engineer.browser.get(address).status_code == 404
    assert grant(owner, file, engineer.user.public_id, "file.read").status_code == 200
    reached = [person.browser.get(address).status_code for person in (engineer, other, admin, owner)]
    assert reached == [200, 404, 200, 200]
    assert [one["id"] for one in engineer.browser.get("/v1/files").json()["data"]] == [file]
    assert other.browser.get("/v1/files").json()["data"] == []
    # To read is not to delete, and neither is a role's file.write on what is restricted.
    assert engineer.browser.delete(address).status_code == 404
    restrict(owner, file, restricted=False)
    assert other.browser.get(address).status_code == 200


def test_an_api_key_reaches_only_what_is_not_restricted(owner: Person) -> None:
    kept, free = a_file(owner), a_file(owner)
    restrict(owner, kept)
    assert owner.program.get(f"/v1/files/{kept}").status_code == 404
    assert owner.program.get(f"/v1/files/{kept}/content").status_code == 404
    assert [file.id for file in owner.openai.files.list()] == [free]


def test_a_grant_reaches_who_has_no_role_for_it(owner: Person) -> None:
    talker = new_person(Role.END_USER, joining=owner)
    one, two = a_file(owner), a_file(owner)
    assert talker.browser.get(f"/v1/files/{one}").status_code == 403
    grant(owner, one, talker.user.public_id, "file.read", "file.write")
    assert talker.browser.get(f"/v1/files/{one}").status_code == 200
    assert talker.browser.get(f"/v1/files/{two}").status_code == 404
    assert [file["id"] for file in talker.browser.get("/v1/files").json()["data"]] == [one]
    # What is granted on one file brings no other.
    assert talker.browser.post("/api/v1/sample-files").status_code == 403
    assert talker.browser.delete(f"/v1/files/{one}").status_code == 200


def test_a_group_reaches_what_is_opened_to_it_while_one_is_in_it(owner: Person) -> None:
    talker = new_person(Role.END_USER, joining=owner)
    file = a_file(owner)
    restrict(owner, file)
    with owner.acting():
        group, member = groups.make_group("Readers"), Member.objects.get(user=talker.user)
        groups.add_to_group(group, member, by=owner.principal)
    grant(owner, file, group.public_id, "file.read")
    assert talker.browser.get(f"/v1/files/{file}").status_code == 200
    with owner.acting():
        groups.remove_from_group(group, member, by=owner.principal)
    assert talker.browser.get(f"/v1/files/{file}").status_code == 403


def test_a_dataset_version_is_reached_as_its_file_is(owner: Person) -> None:
    engineer = new_person(Role.DATA_ENGINEER, joining=owner)
    file = a_file(owner)
    with owner.acting():
        version = DatasetVersion.objects.create(
            project=owner.project,
            file=File.objects.get(pk=ids.parse("file", file)),
            digest="0" * 64,
            format="chat",
            rows=1,
            bytes=1,
            object_key="k",
        )
    address = f"/api/v1/dataset-versions/{version.public_id}"
    assert engineer.browser.get(address).status_code == 200
    restrict(owner, file)
    assert engineer.browser.get(address).status_code == 404
    assert engineer.browser.get(f"{address}/rows").status_code == 404
    assert engineer.browser.get("/api/v1/dataset-versions").json()["data"] == []
    grant(owner, file, engineer.user.public_id, "file.read")
    assert engineer.browser.get(address).status_code == 200


def test_nobody_trains_on_a_file_that_they_do_not_reach(owner: Person) -> None:
    trainer = new_person(Role.MODEL_TRAINER, joining=owner)
    file, model = a_file(owner), a_model(owner, "unused").base_model.name
    order = {"model": model, "training_file": file}
    restrict(owner, file)
    answer = call(trainer, "post", "/v1/fine_tuning/jobs", order)
    assert answer.json()["error"]["param"] == "training_file"
    grant(owner, file, trainer.user.public_id, "file.read")
    assert call(trainer, "post", "/v1/fine_tuning/jobs", order).status_code == 200


def test_model_versions_and_deployments_are_kept_and_opened_alike(owner: Person) -> None:
    deployer = new_person(Role.DEPLOYER, joining=owner)
    model, deployment = a_model(owner, "ft:kept"), a_deployment(owner)
    for public_id, address, action in (
        (model.public_id, "/api/v1/model-versions", "model.read"),
        (deployment.public_id, "/api/v1/deployments", "deployment.read"),
    ):
        assert deployer.browser.get(f"{address}/{public_id}").status_code == 200
        restrict(owner, public_id)
        assert deployer.browser.get(f"{address}/{public_id}").status_code == 404
        assert deployer.browser.get(address).json()["data"] == []
        grant(owner, public_id, deployer.user.public_id, action)
        assert [one["id"] for one in deployer.browser.get(address).json()["data"]] == [public_id]
    stop = f"/api/v1/deployments/{deployment.public_id}/stop"
    assert deployer.browser.post(stop).status_code == 404
    grant(owner, deployment.public_id, deployer.user.public_id, "deployment.read", "deployment.write")
    assert deployer.browser.post(stop).json()["state"] == "stopped"


def test_one_talks_to_the_models_that_are_open_to_them(owner: Person) -> None:
    talker = new_person(Role.END_USER, joining=owner)
    deployment = a_deployment(owner)
    body = {"model": deployment.alias}
    begun = call(talker, "post", "/api/v1/conversations", body)
    assert begun.status_code == 201
    restrict(owner, deployment.public_id)
    assert refused(call(talker, "post", "/api/v1/conversations", body), 404, "model_not_found")
    with pytest.raises(NotFound), owner.acting():
        chat.send_message(talker.principal, ids.parse("conv", begun.json()["id"]), "Hello?")
    grant(owner, deployment.public_id, talker.user.public_id, "chat.use")
    assert call(talker, "post", "/api/v1/conversations", body).status_code == 201


def test_who_may_talk_to_one_model_only_talks_to_that_one(owner: Person) -> None:
    guest = new_person(Role.VIEWER, joining=owner)
    mine, other = a_deployment(owner, "mine"), a_deployment(owner, "other")
    assert call(guest, "post", "/api/v1/conversations", {"model": mine.alias}).status_code == 403
    grant(owner, mine.public_id, guest.user.public_id, "chat.use")
    assert call(guest, "post", "/api/v1/conversations", {"model": mine.alias}).status_code == 201
    assert call(guest, "post", "/api/v1/conversations", {"model": other.alias}).status_code == 404


def test_the_gateways_show_no_restricted_deployment_to_a_program(owner: Person) -> None:
    deployment = a_deployment(owner)
    restrict(owner, deployment.public_id)
    with owner.acting():
        ((name, document),) = entries_of_projects([owner.project]).items()
        assert OutboxEvent.objects.filter(
            name=grants.RESTRICTED, aggregate_id=deployment.pk, project_id=owner.project.pk
        ).exists()
    entry: Any = read_entry(name, document or b"")
    program, member = (
        GatewayPrincipal(
            organization_id=str(owner.organization.pk),
            project_id=str(owner.project.pk),
            key_id=key_id,
            user_id=None,
            permissions=frozenset(),
        )
        for key_id in ("a key's", None)
    )
    assert entry.deployment_for(program, deployment.alias) is None
    assert entry.deployments_for(program) == []
    assert entry.deployment_for(member, deployment.alias).alias == deployment.alias


def test_grants_are_listed_changed_and_taken_back(owner: Person) -> None:
    engineer = new_person(Role.DATA_ENGINEER, joining=owner)
    file = a_file(owner)
    with owner.acting():
        group = groups.make_group("Readers")
    grant(owner, file, group.public_id, "file.read")
    shown = grant(owner, file, engineer.user.public_id, "file.read", "file.write").json()
    assert shown["possible_actions"] == ["file.read", "file.write"]
    assert [(one["subject"], one["subject_type"], one["actions"]) for one in shown["grants"]] == [
        (engineer.user.public_id, "user", ["file.read", "file.write"]),
        (group.public_id, "group", ["file.read"]),
    ]
    assert owner.browser.get(f"{GRANTS}?object={file}").json() == shown
    grant(owner, file, engineer.user.public_id, "file.read")
    gone = owner.browser.delete(f"{GRANTS}?object={file}&subject={group.public_id}").json()
    assert [(one["subject"], one["actions"]) for one in gone["grants"]] == [
        (engineer.user.public_id, ["file.read"])
    ]
    with owner.acting():
        changes = AuditEntry.objects.filter(action="grant.change", target=file).order_by("pk")
        assert [entry.details["after"] for entry in changes][-1] == []


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"actions": ["chat.use"]}, 400),
        ({"actions": ["organization.own"]}, 400),
        ({"actions": []}, 400),
        ({"subject": "user-" + "0" * 32}, 404),
        ({"object": "file-" + "0" * 32}, 404),
        ({"object": "nonsense"}, 404),
    ],
)
def test_a_bad_grant_is_refused(owner: Person, change: dict[str, Any], status: int) -> None:
    body = {"object": a_file(owner), "subject": owner.user.public_id, "actions": ["file.read"], **change}
    assert call(owner, "put", GRANTS, body).status_code == status


def test_a_stranger_neither_sees_nor_makes_grants(owner: Person, stranger: Person) -> None:
    file = a_file(owner)
    body = {"object": file, "subject": owner.user.public_id, "actions": ["file.read"]}
    for person, status in ((owner, 200), (stranger, 404)):
        assert person.browser.get(f"{GRANTS}?object={file}").status_code == status
        assert call(person, "put", GRANTS, body).status_code == status
        assert call(person, "put", RESTRICTIONS, {"object": file, "restricted": False}).status_code == status
        gone = f"{GRANTS}?object={file}&subject={owner.user.public_id}"
        assert person.browser.delete(gone).status_code == status
    theirs = a_file(stranger)
    foreign = {"object": theirs, "subject": owner.user.public_id, "actions": ["file.read"]}
    assert call(stranger, "put", GRANTS, foreign).status_code == 404


def test_an_object_of_another_project_is_not_found(owner: Person) -> None:
    file = a_file(owner)
    with owner.acting():
        other = start_project("Other")
    browser = owner.browser
    browser.put("/api/v1/session", {"project_id": other.public_id}, content_type="application/json")
    assert browser.get(f"{GRANTS}?object={file}").status_code == 404


def test_nobody_grants_what_they_do_not_hold(owner: Person) -> None:
    keeper = frozenset({Permission.GRANT_READ, Permission.GRANT_WRITE, Permission.FILE_READ})
    principal = Principal(owner.organization.pk, owner.project.pk, keeper, keeper, user_id=owner.user.pk)
    file = a_file(owner)
    with owner.acting():
        target = grants.find_object(file, by=principal)
        member = Member.objects.get(user=owner.user)
        grants.grant(target, member, [Permission.FILE_READ], by=principal)
    with pytest.raises(Exception, match=r"file\.write"), owner.acting():
        grants.grant(target, member, [Permission.FILE_WRITE], by=principal)


@pytest.mark.parametrize("address", ["/v1/files", "/api/v1/deployments"])
def test_a_list_costs_the_same_queries_however_many_grants_there_are(owner: Person, address: str) -> None:
    talker = new_person(Role.END_USER, joining=owner)
    makers: dict[str, tuple[Callable[[int], Any], Permission]] = {
        "/v1/files": (
            lambda number: File(
                project=owner.project,
                filename=str(number),
                purpose="fine-tune",
                bytes=1,
                sha256="0" * 64,
                object_key="k",
                restricted=True,
            ),
            Permission.FILE_READ,
        ),
        "/api/v1/deployments": (
            lambda number: Deployment(
                project=owner.project, alias=f"model {number}", base_model="base", restricted=True
            ),
            Permission.DEPLOYMENT_READ,
        ),
    }
    make, action = makers[address]

    def open_more(count: int) -> None:
        with owner.acting():
            rows = [make(number) for number in range(count)]
            type(rows[0]).objects.bulk_create(rows)
            assign_perm(f"{rows[0]._meta.app_label}.{codename_of(action)}", talker.user, rows)

    open_more(10)
    few = queries_of(talker, address)
    with owner.acting():
        Deployment.objects.all().delete()
    open_more(10_000)
    assert queries_of(talker, address) == few
    assert len(talker.browser.get(f"{address}?limit=100").json()["data"]) == 100
