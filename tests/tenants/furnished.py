"""An organization that has one of everything, so that every address has an object to name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inference.chat.models import Message
from kernel import ids
from kernel.webhooks import services as webhooks
from tenants.datasets import execution
from tests.cast import WORKING, Person, new_person
from tests.inference.deployments.house import base_model, deliver, register
from tests.inference.responses.house import store
from tests.kernel.webhooks.house import subscribe
from tests.tenants.administration.offices import call
from tests.tenants.compliance.house import HOLDS, erase, export, say
from tests.tenants.identity.arriving import JSON, set_up
from tests.tenants.identity.saml_provider import metadata
from tests.tenants.identity.test_scim import Directory

ROWS = b'{"messages":[{"role":"user","content":"2+2?"},{"role":"assistant","content":"4"}]}\n' * 12
REQUESTS = (
    b'{"custom_id":"a","method":"POST","url":"/v1/chat/completions",'
    b'"body":{"model":"smollm2-135m-instruct","messages":[{"role":"user","content":"2+2?"}]}}\n'
)
BASE = "smollm2-135m-instruct"


@dataclass(frozen=True)
class Furnished:
    """The owner of everything, and the ids by which addresses name it."""

    owner: Person
    ids: Mapping[str, str]

    def id_for(self, variable: str, address: str) -> str:
        """The id that stands for a variable of an address; some mean other things in other rooms."""
        for room, renamed in _MEANINGS.items():
            if address.startswith(room) and variable in renamed:
                return self.ids[renamed[variable]]
        return self.ids[variable]


# The same word, and what it names below an address.
_MEANINGS: Mapping[str, Mapping[str, str]] = {
    "/api/v1/account/exports": {"export_id": "own_export_id"},
    "/api/v1/model-versions": {"version_id": "model_version_id"},
    "/v1/organization/admin_api_keys": {"key_id": "admin_key_id"},
    "/v1/organization/projects/{project_id}/spend_alerts": {"alert_id": "project_alert_id"},
    "/v1/projects": {"role_id": "project_role_id"},
    "/scim/v2/ResourceTypes": {"name": "resource_type"},
    "/scim/v2/Schemas": {"name": "schema"},
    "/scim/v2/Users": {"user_id": "scim_user_id"},
    "/scim/v2/Groups": {"group_id": "scim_group_id"},
}


def furnish() -> Furnished:
    """Found an organization and make one of everything in it, mostly through its own addresses."""
    base_model()
    owner = new_person()
    member = new_person(*WORKING, joining=owner)
    settler = _Settler(owner)
    worked_on = _of_work(owner, settler)
    project = owner.project.public_id
    made = f"/v1/organization/projects/{project}"
    group, role = settler.make("/v1/organization/groups", name="A group"), _role(settler)
    settler.make(f"/v1/organization/groups/{group}/users", user_id=member.user.public_id)
    settler.make(f"/v1/organization/groups/{group}/roles", role_id=role)
    settler.make(f"/v1/organization/users/{member.user.public_id}/roles", role_id=role)
    project_role = settler.make(f"/v1/projects/{project}/roles", **_ROLE)
    for holder in (f"users/{member.user.public_id}", f"groups/{group}"):
        settler.make(f"/v1/projects/{project}/{holder}/roles", role_id=project_role)
    settler.make(f"{made}/groups", group_id=group, role=project_role)
    settler.make(f"{made}/users", user_id=member.user.public_id, role="member")
    settler.make(f"{made}/spend_limit", threshold_amount=100, currency="USD", interval="month")
    named = {
        "organization_id": owner.organization.public_id,
        "project_id": project,
        "user_id": member.user.public_id,
        "group_id": group,
        "role_id": role,
        "project_role_id": project_role,
        "invite_id": settler.make("/v1/organization/invites", email="new@people.example", role="reader"),
        "service_account_id": settler.make(f"{made}/service_accounts", name="A service"),
        "admin_key_id": settler.make("/v1/organization/admin_api_keys", name="An administration key"),
        "alert_id": settler.make("/v1/organization/spend_alerts", **_ALERT),
        "project_alert_id": settler.make(f"{made}/spend_alerts", **_ALERT),
        "provider_id": set_up(owner, kind="saml", metadata_xml=metadata())["id"],
        "domain_id": settler.make("/api/v1/organization/domains", name=f"d{owner.user.pk.hex}.example"),
        "access_id": settler.make("/api/v1/support-access", hours=1, reason="A question"),
        "rate_limit_id": settler.one(f"{made}/rate_limits"),
        "session_id": settler.one("/api/v1/account/sessions"),
        "resource_type": "User",
        "schema": "urn:ietf:params:scim:schemas:core:2.0:User",
        **worked_on,
        **_told(owner, settler),
        **_answered_for(owner),
        **_provisioned(owner),
    }
    return Furnished(owner, named)


_ROLE = {"role_name": "A role", "description": "", "permissions": ["project.read"]}
_ALERT = {
    "threshold_amount": 100,
    "currency": "USD",
    "interval": "month",
    "notification_channel": {"type": "email", "recipients": ["somebody@people.example"]},
}


def _role(settler: "_Settler") -> str:
    return settler.make("/v1/organization/roles", **_ROLE)


@dataclass(frozen=True)
class _Settler:
    """Makes things through the owner's browser."""

    owner: Person

    def make(self, address: str, /, **body: Any) -> str:
        """Create, and answer the new object's id; fails with the answer where it was not created."""
        answer = self.owner.browser.post(address, body, content_type=JSON)
        assert answer.status_code in (200, 201), (address, answer.content)
        found = answer.json()
        identifier: str = found.get("id") or found.get("role", {}).get("id") or ""
        return identifier

    def put(self, address: str, /, **body: Any) -> str:
        """Set, and answer the id."""
        answer = self.owner.browser.put(address, body, content_type=JSON)
        assert answer.status_code in (200, 201), (address, answer.content)
        identifier: str = answer.json()["id"]
        return identifier

    def one(self, address: str) -> str:
        """The id of the first object of a list."""
        identifier: str = self.owner.browser.get(address).json()["data"][0]["id"]
        return identifier


_SAYS = [{"role": "system", "content": "Be {{ manner }}."}]


def _of_work(owner: Person, settler: _Settler) -> dict[str, str]:
    """A file, what was read of it, a job, a model, a deployment, a batch, a response and a conversation."""
    file = owner.openai.files.create(file=("rows.jsonl", ROWS), purpose="fine-tune")
    execution.process_file(owner.organization.pk, ids.parse("file", file.id))
    version = register(owner, "d" * 64, b"an archive")
    deliver(owner)
    job = owner.openai.fine_tuning.jobs.create(model=BASE, training_file=file.id)
    requests = owner.openai.files.create(file=("requests.jsonl", REQUESTS), purpose="batch")
    batch = owner.openai.batches.create(
        input_file_id=requests.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    conversation = say(owner, "2+2?")
    with owner.acting():
        message_id = Message.objects.get(conversation=conversation).public_id
    return {
        "file_id": file.id,
        "version_id": settler.one("/api/v1/dataset-versions"),
        "model_version_id": version.public_id,
        "deployment_id": settler.one("/api/v1/deployments"),
        "job_id": job.id,
        "requests_id": requests.id,
        "batch_id": batch.id,
        "response_id": store(owner, "2+2?").public_id,
        "prompt_id": settler.make("/api/v1/prompts", name="A prompt", messages=_SAYS),
        "version": "1",
        "key_id": settler.one("/api/v1/api-keys"),
        "conversation_id": conversation.public_id,
        "message_id": message_id,
    }


def _told(owner: Person, settler: _Settler) -> dict[str, str]:
    """A webhook with a delivery, and a limit."""
    webhook = subscribe(owner, "https://customer.example/hook")
    with owner.acting():
        webhooks.send_test(webhook)
    limit = settler.put("/api/v1/limits", scope="organization", kind="storage_bytes", value=10**9)
    address = f"/api/v1/webhooks/{webhook.public_id}/deliveries"
    return {"webhook_id": webhook.public_id, "delivery_id": settler.one(address), "limit_id": limit}


def _answered_for(owner: Person) -> dict[str, str]:
    """Copies, an erasure that is done, and a hold that is lifted."""
    held = {"subject": "organization", "name": "A case", "reason": "A court asked."}
    hold = call(owner, "post", HOLDS, held).json()["id"]
    assert call(owner, "post", f"{HOLDS}/{hold}/lift", {"reason": "It is over."}).status_code == 200
    return {
        "hold_id": hold,
        "export_id": export(owner)["id"],
        "own_export_id": export(owner, "/api/v1/account/exports")["id"],
        "erasure_id": erase(owner, words=["nobody@people.example"])["id"],
    }


def _provisioned(owner: Person) -> dict[str, str]:
    """A person and a group that a directory made."""
    directory = Directory(owner)
    person = directory.person("provisioned")
    return {"scim_user_id": person["id"], "scim_group_id": directory.group("Provisioned", person)["id"]}
