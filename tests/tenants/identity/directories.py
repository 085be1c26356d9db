"""A directory that provisions an organization by SCIM."""

import json
from typing import Any

from django.test import Client

from tenants.access.services.keys import KeyWish, make_admin_key
from tests.cast import HOST, Person
from tests.tenants.identity.arriving import domain_of

ROOT = "/scim/v2"
MEDIA_TYPE = "application/scim+json"
PATCH_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


class Directory:
    """A directory with an administration key of the person's organization."""

    def __init__(self, person: Person) -> None:
        with person.acting():
            self.secret = make_admin_key(KeyWish(name="Directory"), by=person.principal).secret
        self.domain = domain_of(person)
        headers = {"Authorization": f"Bearer {self.secret}"}
        self.client = Client(SERVER_NAME=HOST, headers=headers)

    def ask(self, method: str, address: str, body: Any = None, **query: Any) -> Any:
        call = getattr(self.client, method)
        if body is None:
            return call(f"{ROOT}{address}", query) if method == "get" else call(f"{ROOT}{address}")
        return call(f"{ROOT}{address}", json.dumps(body), content_type=MEDIA_TYPE)

    def change(self, address: str, *operations: dict[str, Any]) -> Any:
        return self.ask("patch", address, {"schemas": [PATCH_SCHEMA], "Operations": list(operations)})

    def person(self, local: str, /, **attributes: Any) -> dict[str, Any]:
        body = {"userName": f"{local}@{self.domain}", "active": True, **attributes}
        answer = self.ask("post", "/Users", body)
        assert answer.status_code == 201, answer.content
        found: dict[str, Any] = answer.json()
        return found

    def group(self, name: str, *people: dict[str, Any], **attributes: Any) -> dict[str, Any]:
        members = [{"value": person["id"]} for person in people]
        answer = self.ask("post", "/Groups", {"displayName": name, "members": members, **attributes})
        assert answer.status_code == 201, answer.content
        found: dict[str, Any] = answer.json()
        return found

    def members_of(self, group: dict[str, Any]) -> set[str]:
        found = self.ask("get", f"/Groups/{group['id']}").json()
        return {member["value"] for member in found["members"]}


def fault_of(answer: Any) -> tuple[int, str | None]:
    """The status and SCIM's type of a refusal; its body must be SCIM's."""
    body = answer.json()
    assert body["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"], body
    assert (body["status"], answer["Content-Type"]) == (str(answer.status_code), MEDIA_TYPE)
    assert body["detail"]
    return answer.status_code, body.get("scimType")
