"""The organization's limits over REST, and OpenAI's rate limits with the official client."""

from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.deployments.services import deploy_base_model
from kernel import ids
from tenants.limits.kinds import Bound, Kind, Scope, Subject, strictest
from tests.cast import Person
from tests.tenants.administration.offices import admin_client, call, refused
from tests.tenants.administration.published import conforms

BOUNDS = st.lists(
    st.builds(
        Bound,
        st.builds(Subject, st.sampled_from(Scope), st.sampled_from([None, uuid4(), uuid4()])),
        st.sampled_from(Kind),
        st.integers(0, 1000),
    ),
    max_size=12,
)


@given(BOUNDS)
def test_the_strictest_of_a_kind_is_never_looser_than_any_that_applies(bounds: list[Bound]) -> None:
    found = strictest(bounds)
    assert set(found) == {bound.kind for bound in bounds}
    for kind, bound in found.items():
        assert bound.value == min(other.value for other in bounds if other.kind is kind)


@given(BOUNDS, st.randoms())
def test_the_order_in_which_limits_are_found_does_not_matter(bounds: list[Bound], chance: Any) -> None:
    shuffled = list(bounds)
    chance.shuffle(shuffled)
    once, again = strictest(bounds), strictest(shuffled)
    assert {k: (b.value, b.subject.scope) for k, b in once.items()} == {
        k: (b.value, b.subject.scope) for k, b in again.items()
    }


@given(BOUNDS, BOUNDS)
def test_a_further_limit_never_allows_more(bounds: list[Bound], further: list[Bound]) -> None:
    before, after = strictest(bounds), strictest([*bounds, *further])
    assert all(after[kind].value <= bound.value for kind, bound in before.items())


def put(person: Person, **body: Any) -> Any:
    return call(person, "put", "/api/v1/limits", {"scope": "organization", **body})


def test_an_owner_sets_changes_and_removes_a_limit_and_a_stranger_sees_none(
    owner: Person, stranger: Person
) -> None:
    made = put(owner, kind="requests_per_minute", value=60)
    assert made.status_code == 200, made.content
    assert put(owner, kind="requests_per_minute", value=30).json()["id"] == made.json()["id"]
    address = f"/api/v1/limits/{made.json()['id']}"
    assert owner.browser.get(address).json()["value"] == 30
    assert refused(stranger.browser.get(address), 404, "not_found")
    assert refused(stranger.browser.delete(address), 404, "not_found")
    assert owner.browser.delete(address).status_code == 204
    assert refused(owner.browser.get(address), 404, "not_found")


def test_what_is_effective_is_the_strictest_of_plan_organization_and_project(owner: Person) -> None:
    put(owner, kind="tokens_per_day", value=500)
    project = ids.render("proj", owner.project.pk)
    put(owner, scope="project", subject_id=project, kind="tokens_per_day", value=100)
    whole = owner.browser.get("/api/v1/limits").json()
    here = owner.browser.get(f"/api/v1/limits?project_id={project}").json()
    assert whole["plan"] == "free"
    assert of(whole, "tokens_per_day")["value"] == 500
    assert of(here, "tokens_per_day") | {"id": None} == {
        "id": None,
        "scope": "project",
        "subject_id": project,
        "model": "",
        "kind": "tokens_per_day",
        "value": 100,
        "from_plan": False,
        "used": 0,
        "resets_at": of(here, "tokens_per_day")["resets_at"],
    }
    assert of(here, "storage_bytes")["from_plan"]


def of(body: dict[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in body["effective"] if one["kind"] == kind)
    return found


def test_a_member_without_the_permission_cannot_see_or_set_limits(owner: Person, teammate: Person) -> None:
    assert owner.browser.get("/api/v1/limits").status_code == 200
    assert refused(teammate.browser.get("/api/v1/limits"), 403, "permission_denied")
    assert refused(put(teammate, kind="requests_per_minute", value=1), 403, "permission_denied")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"kind": "requests_per_minute", "value": -1}, "value"),
        ({"kind": "coffees_per_minute", "value": 1}, "kind"),
        ({"kind": "storage_bytes", "value": 1, "model": "a"}, "model"),
        ({"kind": "storage_bytes", "value": 1, "scope": "project"}, "subject_id"),
        ({"kind": "storage_bytes", "value": True}, "value"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_by_name(
    owner: Person, body: dict[str, Any], param: str
) -> None:
    answer = put(owner, **body)
    assert answer.status_code == 400, answer.content
    assert answer.json()["error"]["param"] == param


def test_another_organizations_project_or_member_cannot_be_limited(owner: Person, stranger: Person) -> None:
    for scope, subject in (("project", stranger.project.public_id), ("member", stranger.user.public_id)):
        answer = put(owner, scope=scope, subject_id=subject, kind="storage_bytes", value=1)
        assert refused(answer, 404, "not_found")


def test_the_official_client_lists_and_updates_a_projects_rate_limits(owner: Person) -> None:
    with owner.acting():
        deployment = deploy_base_model(owner.project.pk)
    api = admin_client(owner).admin.organization.projects.rate_limits
    project = owner.project.public_id
    (listed,) = list(api.list_rate_limits(project))
    assert (listed.model, listed.max_requests_per_1_minute) == (deployment.alias, 120)
    changed = api.update_rate_limit(listed.id, project_id=project, max_requests_per_1_minute=7)
    assert changed.max_requests_per_1_minute == 7
    raw = owner.browser.get(f"/v1/organization/projects/{project}/rate_limits").json()
    conforms("ProjectRateLimitListResponse", raw)
    assert raw["data"][0]["max_requests_per_1_minute"] == 7


def test_a_stranger_finds_no_rate_limits_of_a_foreign_project(owner: Person, stranger: Person) -> None:
    address = f"/v1/organization/projects/{owner.project.public_id}/rate_limits"
    assert owner.browser.get(address).status_code == 200
    assert refused(stranger.browser.get(address), 404, "not_found")
