"""Every address that changes something leaves an entry in the audit log, under the request's own id."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from rest_framework.permissions import SAFE_METHODS

from kernel.audit.models import AuditEntry
from tenants.access.permissions import Permission, Role
from tenants.identity.models import Domain
from tests.cast import new_person
from tests.tenants.furnished import _ALERT, _ROLE, BASE, Furnished, furnish
from tests.tenants.identity.saml_provider import metadata
from tests.tenants.routes import Route, every_route
from tests.tenants.test_every_route_and_role import JSON, client_for
from training.jobs.models import FineTuningJob, JobState

MUTATING = [
    route
    for route in every_route()
    if route.method.upper() not in SAFE_METHODS and route.permission is not Permission.PLATFORM_OPERATE
]
# The browser's own choice of where to look: nothing of the organization changes.
CHANGES_NOTHING = {"PUT /api/v1/session"}
# They need somebody else's server or another browser; the tests named here look at what they record.
ELSEWHERE = {
    "POST /api/v1/invitations/accept": "tests/tenants/administration/test_invites.py",
    "POST /api/v1/organization/domains/{domain_id}/verify": "tests/tenants/identity/test_domains.py",
    "POST /api/v1/organization/identity-providers/{provider_id}/test": "tests/tenants/identity/test_oidc.py",
    "POST /v1/files": "tests/kernel/audit/test_audit_log.py",
    "DELETE /api/v1/organization/closing": "tests/tenants/administration/test_lifecycle.py",
    "POST /api/v1/compliance/erasures/{erasure_id}/approve": "tests/tenants/compliance/test_erasures.py",
    "DELETE /api/v1/compliance/erasures/{erasure_id}": "tests/tenants/compliance/test_erasures.py",
    # A hold keeps what other addresses here would remove.
    "POST /api/v1/compliance/legal-holds": "tests/tenants/compliance/test_approvals.py",
    "POST /api/v1/compliance/legal-holds/{hold_id}/lift": "tests/tenants/compliance/test_approvals.py",
    # It says that nothing is left to cancel.
    "POST /v1/responses/{response_id}/cancel": "tests/inference/responses/test_stored_responses.py",
    "PUT /api/v1/encryption-key": "tests/tenants/administration/test_encryption_key.py",
    "DELETE /api/v1/encryption-key": "tests/tenants/administration/test_encryption_key.py",
}
# What they remove is named in the query, not in the body.
NAMED_IN_THE_QUERY = {"DELETE /api/v1/grants"}


@dataclass(frozen=True)
class House:
    """An organization that has one of everything, and a few more that are still free."""

    furnished: Furnished
    bodies: dict[str, Any]
    # Of keys there must be two, since two addresses revoke one.
    other_key: str

    def address_of(self, route: Route) -> str:
        named = {name: self.furnished.id_for(name, route.address) for name in route.variables}
        if str(route) == "DELETE /api/v1/api-keys/{key_id}":
            named["key_id"] = self.other_key
        return route.address.format(**named)


@pytest.fixture(scope="module")
def house(stores: object) -> Iterator[House]:
    furnished = furnish()
    owner = furnished.owner
    other = new_person(Role.VIEWER, joining=owner)
    browser = owner.browser

    def make(address: str, **body: Any) -> str:
        found = browser.post(address, body, content_type=JSON).json()
        identifier: str = found.get("id") or found["role"]["id"]
        return identifier

    group = make("/v1/organization/groups", name="Another group")
    role = make("/v1/organization/roles", **_ROLE | {"role_name": "Another role"})
    project = furnished.ids["project_id"]
    project_role = make(f"/v1/projects/{project}/roles", **_ROLE | {"role_name": "Another project role"})
    with owner.acting():
        domain = Domain.objects.exclude(verified_at=None).latest("id").name
    ids = {
        **furnished.ids,
        "domain": domain,
        "other": other.user.public_id,
        "other_group": group,
        "other_role": role,
        "other_project_role": project_role,
    }
    yield House(furnished, bodies(ids), make("/api/v1/api-keys", name="Another key"))
    with owner.acting():
        # A trainer of another test would take what waits here.
        FineTuningJob.objects.update(state=JobState.CANCELLED.value)


_SAYS = [{"role": "user", "content": "Be {{ manner }}."}]


def bodies(ids: dict[str, str]) -> dict[str, Any]:
    """What is sent where something must be."""
    file = ids["file_id"]
    organization, project = "/v1/organization", "/v1/organization/projects/{project_id}"
    within = "/v1/projects/{project_id}"
    scim = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"]}
    rename = {"Operations": [{"op": "replace", "path": "displayName", "value": "Renamed by the directory"}]}
    return {
        "PATCH /api/v1/account": {"name": "Another name"},
        "POST /api/v1/api-keys": {"name": "A key more"},
        "PUT /api/v1/compliance/erasure-policy": {"needs_two": True},
        "POST /api/v1/compliance/erasures": {"words": ["somebody@people.example"]},
        "PUT /api/v1/compliance/retention": {"kind": "conversations", "days": 365},
        "DELETE /api/v1/compliance/retention": {"kind": "conversations"},
        "PUT /api/v1/files/{file_id}/provenance": {"processing_purpose": "Support"},
        "POST /api/v1/conversations": {"model": BASE},
        "PUT /api/v1/deployments/{deployment_id}/cache": {"caches": False},
        "POST /api/v1/prompts": {"name": "Another prompt", "messages": _SAYS},
        "POST /api/v1/prompts/{prompt_id}/versions": {"messages": _SAYS},
        "PUT /api/v1/deployments/{deployment_id}/policy": {"system_prompt": "Be kind."},
        "PATCH /api/v1/conversations/{conversation_id}": {"title": "A title"},
        "PUT /api/v1/grants": {"object": file, "subject": ids["other"], "actions": ["file.read"]},
        "DELETE /api/v1/grants": {"object": file, "subject": ids["other"]},
        "PUT /api/v1/limits": {"scope": "organization", "kind": "requests_per_minute", "value": 1000},
        "PATCH /api/v1/organization": {"name": "Renamed"},
        "POST /api/v1/organization/closing": {"name": "Renamed"},
        "POST /api/v1/organization/domains": {"name": "another.example"},
        "POST /api/v1/organization/identity-providers": {
            "name": "Another provider",
            "kind": "saml",
            "metadata_xml": metadata(),
        },
        "PATCH /api/v1/organization/identity-providers/{provider_id}": {"name": "Renamed"},
        "PUT /api/v1/organization/sso-policy": {"require_sso": False, "require_mfa": False},
        "POST /api/v1/organization/transfer": {"user_id": ids["other"]},
        "PUT /api/v1/restrictions": {"object": file, "restricted": True},
        "POST /api/v1/support-access": {"hours": 1, "reason": "A question"},
        "POST /api/v1/webhooks": {"url": "https://93.184.215.14/another", "events": ["*"]},
        "PATCH /api/v1/webhooks/{webhook_id}": {"events": ["tenants.file.*"]},
        "POST /scim/v2/Groups": {"displayName": "Another of the directory"},
        "PUT /scim/v2/Groups/{group_id}": {"displayName": "Put by the directory"},
        "PATCH /scim/v2/Groups/{group_id}": rename,
        "POST /scim/v2/Users": scim | {"userName": f"somebody.else@{ids['domain']}"},
        "PUT /scim/v2/Users/{user_id}": scim | {"displayName": "Put by the directory"},
        "PATCH /scim/v2/Users/{user_id}": rename,
        "POST /v1/batches": {
            "input_file_id": ids["requests_id"],
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
        },
        "POST /v1/fine_tuning/jobs": {"model": BASE, "training_file": file},
        f"POST {organization}/admin_api_keys": {"name": "One more"},
        f"POST {organization}/data_retention": {"retention_type": "zero_data_retention"},
        f"POST {organization}/groups": {"name": "A third group"},
        f"POST {organization}/groups/{{group_id}}": {"name": "Renamed"},
        f"POST {organization}/groups/{{group_id}}/roles": {"role_id": ids["other_role"]},
        f"POST {organization}/groups/{{group_id}}/users": {"user_id": ids["other"]},
        f"POST {organization}/invites": {"email": "another@people.example", "role": "reader"},
        f"POST {organization}/projects": {"name": "Another project"},
        f"POST {project}": {"name": "Renamed"},
        f"POST {project}/data_retention": {"retention_type": "zero_data_retention"},
        f"POST {project}/groups": {"group_id": ids["other_group"], "role": ids["project_role_id"]},
        f"POST {project}/model_permissions": {"mode": "deny_list", "model_ids": ["x"]},
        f"POST {project}/rate_limits/{{rate_limit_id}}": {"max_requests_per_1_minute": 77},
        f"POST {project}/service_accounts": {"name": "One more"},
        f"POST {project}/service_accounts/{{service_account_id}}": {"name": "Renamed"},
        f"POST {project}/service_accounts/{{service_account_id}}/api_keys": {"name": "A key"},
        f"POST {project}/spend_alerts": _ALERT,
        f"POST {project}/spend_alerts/{{alert_id}}": _ALERT | {"threshold_amount": 200},
        f"POST {project}/spend_limit": {"threshold_amount": 300, "currency": "USD", "interval": "month"},
        f"POST {project}/users": {"user_id": ids["other"], "role": "member"},
        f"POST {project}/users/{{user_id}}": {"role": "owner"},
        f"POST {organization}/roles": _ROLE | {"role_name": "A third role"},
        f"POST {organization}/roles/{{role_id}}": {"role_name": "Renamed role"},
        f"POST {organization}/spend_alerts": _ALERT,
        f"POST {organization}/spend_alerts/{{alert_id}}": _ALERT | {"threshold_amount": 200},
        f"POST {organization}/spend_limit": {"threshold_amount": 300, "currency": "USD", "interval": "month"},
        f"POST {organization}/users/{{user_id}}": {"role": "owner"},
        f"POST {organization}/users/{{user_id}}/roles": {"role_id": ids["role_id"]},
        f"POST {within}/groups/{{group_id}}/roles": {"role_id": ids["other_project_role"]},
        f"POST {within}/roles": _ROLE | {"role_name": "A third project role"},
        f"POST {within}/roles/{{role_id}}": {"role_name": "Renamed project role"},
        f"POST {within}/users/{{user_id}}/roles": {"role_id": ids["other_project_role"]},
    }


# What ends everything, or much of it, in this order.
AT_THE_END = (
    "POST /v1/organization/projects/{project_id}/archive",
    "POST /api/v1/organization/closing",
    "POST /api/v1/organization/transfer",
)
# Before what undoes them, or takes away what they are about.
EARLY = ("POST /api/v1/deployments/{deployment_id}/stop", "PUT /api/v1/grants", "DELETE /api/v1/grants")


def turn_of(route: Route) -> tuple[int, int, int, str]:
    """When an address is asked: first what makes and changes, then what removes, inner before outer."""
    if str(route) in AT_THE_END:
        return (3, AT_THE_END.index(str(route)), 0, "")
    if str(route) in EARLY:
        return (0, EARLY.index(str(route)), 0, "")
    if route.method != "delete":
        return (1, 0, 0, route.address)
    return (2, -len(route.variables), -len(route.address), route.address)


def test_every_act_is_recorded(house: House) -> None:
    furnished, wrong = house.furnished, []
    for route in sorted(MUTATING, key=turn_of):
        if str(route) in ELSEWHERE:
            continue
        address, body = house.address_of(route), house.bodies.get(str(route), {})
        query = (
            "?" + "&".join(f"{k}={v}" for k, v in body.items()) if str(route) in NAMED_IN_THE_QUERY else ""
        )
        client = client_for(furnished.owner, route)
        answer = getattr(client, route.method)(address + query, body, content_type=JSON)
        if answer.status_code >= 300:
            wrong.append(f"{route}: {answer.status_code} {answer.content[:200]!r}")
            continue
        with furnished.owner.acting():
            entries = list(AuditEntry.objects.filter(request_id=answer["x-request-id"], outcome="allowed"))
        if not entries and str(route) not in CHANGES_NOTHING:
            wrong.append(f"{route}: nothing was recorded")
        wrong += [f"{route}: {entry.action} names nobody" for entry in entries if entry.actor == "system"]
        wrong += [f"{route}: {entry.action} comes from nowhere" for entry in entries if not entry.address]
    assert not wrong, "\n".join(wrong)
