"""Every address, for every role, at home and abroad, against the one permission matrix."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from django.test import Client

from tenants.access.permissions import MATRIX, Permission, Role
from tenants.organizations.services.projects import start_project
from tests.cast import HOST, Person, new_person
from tests.tenants.administration.offices import admin_secret
from tests.tenants.furnished import Furnished, furnish
from tests.tenants.routes import Route, every_route

JSON = "application/json"
NOBODYS = UUID(int=0).hex
ROUTES = every_route()
# Their variables name what is the same for everybody.
OF_NOBODY = {
    "/scim/v2/ResourceTypes/{name}",
    "/scim/v2/Schemas/{name}",
    "/api/v1/organization/statements/{month}",
    "/api/v1/organization/statements/{month}/csv",
}
# Directories come with a key: SCIM has no sessions.
DIRECTORY = "/scim/"


@pytest.fixture(scope="module")
def furnished(stores: object) -> Iterator[Furnished]:
    """An organization with one of everything; no job is left that another test's trainer would run."""
    house = furnish()
    yield house
    house.owner.openai.fine_tuning.jobs.cancel(house.ids["job_id"])


@pytest.fixture(scope="module")
def stranger(stores: object) -> Person:
    """The owner of another organization."""
    return new_person()


@pytest.fixture(scope="module")
def spare(furnished: Furnished) -> str:
    """A project of the organization that nothing is expected of: it may be archived on the way."""
    with furnished.owner.acting():
        return start_project("A spare project").public_id


def ask(client: Client, route: Route, address: str) -> tuple[int, str]:
    """The status and the code of what is answered; nothing but an empty body is sent."""
    send = getattr(client, route.method)
    answer = send(address) if route.method == "get" else send(address, {}, content_type=JSON)
    if answer.streaming or "json" not in answer.get("Content-Type", "") or not answer.content:
        return answer.status_code, ""
    body = answer.json()
    error = body.get("error") if isinstance(body, dict) else None
    return answer.status_code, error["code"] or "" if isinstance(error, dict) else ""


def client_for(person: Person, route: Route) -> Client:
    """The person's browser; a directory's key for SCIM."""
    if route.address.startswith(DIRECTORY):
        return Client(SERVER_NAME=HOST, headers={"Authorization": f"Bearer {admin_secret(person)}"})
    return person.browser


def with_unknown_ids(route: Route, project: str) -> str:
    """The address with ids of nobody, except for the project that the caller is to be judged in."""
    unknown = {name: f"{name.removesuffix('_id')}-{NOBODYS}" for name in route.variables}
    return route.address.format(**{**unknown, "project_id": project})


def for_members() -> Iterator[Route]:
    """What members ask for in the browser. SCIM and the operator's addresses are judged apart."""
    for route in ROUTES:
        operators = route.permission is Permission.PLATFORM_OPERATE
        if not operators and not route.address.startswith(DIRECTORY):
            yield route


@pytest.mark.parametrize("role", list(Role))
def test_a_member_gets_through_exactly_where_the_matrix_lets_their_role(
    furnished: Furnished, spare: str, role: Role
) -> None:
    member = new_person(role, joining=furnished.owner)
    browser, wrong = member.browser, []
    for route in for_members():
        _, code = ask(browser, route, with_unknown_ids(route, spare))
        refused = code == "permission_denied"
        if refused == (route.permission in MATRIX[role]):
            wrong.append(f"{route}: {code or 'let through'}")
    assert wrong == []


def test_the_operators_addresses_are_open_to_no_role(furnished: Furnished) -> None:
    for route in ROUTES:
        if route.permission is Permission.PLATFORM_OPERATE:
            address = route.address.format(name="free", organization_id=furnished.ids["organization_id"])
            status, _ = ask(furnished.owner.browser, route, address)
            assert status in (403, 404), route


def test_nobody_is_answered_without_being_recognised(furnished: Furnished) -> None:
    for route in ROUTES:
        address = with_unknown_ids(route, furnished.ids["project_id"])
        status, _ = ask(Client(SERVER_NAME=HOST), route, address)
        assert status == 401, route


def test_what_the_owner_finds_does_not_exist_for_a_stranger(furnished: Furnished, stranger: Person) -> None:
    wrong = []
    for route in ROUTES:
        operators = route.permission is Permission.PLATFORM_OPERATE
        if not route.variables or route.address in OF_NOBODY or operators:
            continue
        named = {variable: furnished.id_for(variable, route.address) for variable in route.variables}
        address = route.address.format(**named)
        if route.method == "get":
            found, _ = ask(client_for(furnished.owner, route), route, address)
            if found != 200:
                wrong.append(f"{route}: {found} for the owner")
        status, _ = ask(client_for(stranger, route), route, address)
        # A body may be judged before what it is for is looked up; nothing is told by that.
        if status != 404 and (route.method == "get" or status != 400):
            wrong.append(f"{route}: {status} for the stranger")
    assert wrong == []


def test_lists_show_a_stranger_nothing_of_anybody_else(furnished: Furnished, stranger: Person) -> None:
    names = {
        identifier
        for name, identifier in furnished.ids.items()
        if name not in {"resource_type", "schema", "version"}
    }
    for route in ROUTES:
        if route.variables or route.method != "get" or route.permission is Permission.PLATFORM_OPERATE:
            continue
        answer = client_for(stranger, route).get(route.address)
        told = answer.getvalue().decode()
        assert [name for name in names if name in told] == [], route
