"""SCIM 2.0: an organization's directory keeps its people and groups here."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from kernel import ids
from kernel.errors import NotFound
from tenants.access.models import Group, Member
from tenants.access.permissions import Permission
from tenants.access.services import members
from tenants.identity.models import ProvisionedPerson
from tenants.identity.scim import discovery, people, shapes, teams
from tenants.identity.scim.changes import read_changes
from tenants.identity.scim.endpoint import ScimEndpoint
from tenants.identity.scim.errors import BadFilter
from tenants.identity.scim.filters import read_filter, read_page

PERSON: dict[str, Permission] = {
    "GET": Permission.MEMBER_READ,
    "POST": Permission.MEMBER_WRITE,
    "PUT": Permission.MEMBER_WRITE,
    "PATCH": Permission.MEMBER_WRITE,
    "DELETE": Permission.MEMBER_WRITE,
}
TEAM: dict[str, Permission] = {
    "GET": Permission.GROUP_READ,
    "POST": Permission.GROUP_WRITE,
    "PUT": Permission.GROUP_WRITE,
    "PATCH": Permission.GROUP_WRITE,
    "DELETE": Permission.GROUP_WRITE,
}


class ServiceProviderConfigView(ScimEndpoint):
    """What is supported."""

    permission = Permission.ORGANIZATION_READ

    def get(self, request: Request) -> Response:
        return Response(discovery.service_provider_config())


class ResourceTypesView(ScimEndpoint):
    """What kinds of resources there are."""

    permission = Permission.ORGANIZATION_READ

    def get(self, request: Request, name: str = "") -> Response:
        return Response(_one_or_all(discovery.resource_types(), name))


class SchemasView(ScimEndpoint):
    """Which attributes they have."""

    permission = Permission.ORGANIZATION_READ

    def get(self, request: Request, name: str = "") -> Response:
        return Response(_one_or_all(discovery.schemas(), name))


class UsersView(ScimEndpoint):
    """The organization's members."""

    permission: ClassVar = PERSON

    def get(self, request: Request) -> Response:
        query = request.query_params
        page = read_page(query.get("startIndex"), query.get("count"))
        rows = _people(query.get("filter", ""))
        found = list(rows.select_related("user").order_by("pk")[page.slice])
        return Response(shapes.show_list(shapes.show_people(found), total=rows.count(), start=page.start))

    def post(self, request: Request) -> Response:
        made = people.bring_in(people.read_person(self.body, whole=True))
        return _created(shapes.show_person(made))


class UserView(ScimEndpoint):
    """One member."""

    permission: ClassVar = PERSON

    def get(self, request: Request, user_id: str) -> Response:
        return Response(shapes.show_person(members.find_member(user_id, param=None)))

    def put(self, request: Request, user_id: str) -> Response:
        member = members.find_member(user_id, param=None)
        changed = people.change_person(member, people.read_person(self.body, whole=True))
        return Response(shapes.show_person(changed))

    def patch(self, request: Request, user_id: str) -> Response:
        member = members.find_member(user_id, param=None)
        changed = people.change_person(member, people.wanted_by(read_changes(self.body)))
        return Response(shapes.show_person(changed))

    def delete(self, request: Request, user_id: str) -> Response:
        people.remove_person(members.find_member(user_id, param=None))
        return Response(status=204)


class GroupsView(ScimEndpoint):
    """The groups that the directory made."""

    permission: ClassVar = TEAM

    def get(self, request: Request) -> Response:
        query = request.query_params
        page = read_page(query.get("startIndex"), query.get("count"))
        rows = _teams(query.get("filter", ""))
        left_out = query.get("excludedAttributes", "").lower().split(",")
        found = shapes.show_teams(list(rows.order_by("pk")[page.slice]), without=left_out)
        return Response(shapes.show_list(found, total=rows.count(), start=page.start))

    def post(self, request: Request) -> Response:
        return _created(shapes.show_team(teams.make_team(self.body)))


class GroupView(ScimEndpoint):
    """One group that the directory made."""

    permission: ClassVar = TEAM

    def get(self, request: Request, group_id: str) -> Response:
        left_out = request.query_params.get("excludedAttributes", "").lower().split(",")
        return Response(shapes.show_teams([teams.find_team(group_id)], without=left_out)[0])

    def put(self, request: Request, group_id: str) -> Response:
        return Response(shapes.show_team(teams.replace_team(teams.find_team(group_id), self.body)))

    def patch(self, request: Request, group_id: str) -> Response:
        changes = read_changes(self.body)
        return Response(shapes.show_team(teams.change_team(teams.find_team(group_id), changes)))

    def delete(self, request: Request, group_id: str) -> Response:
        teams.delete_team(teams.find_team(group_id))
        return Response(status=204)


def _people(text: str) -> "QuerySet[Member]":
    """The members that a filter selects."""
    rows: QuerySet[Member] = Member.objects.all()
    for attribute, value in (read_filter(text) if text else {}).items():
        if attribute in {"username", "emails", "emails.value"}:
            rows = rows.filter(user__email=value.strip().lower())
        elif attribute == "externalid":
            rows = rows.filter(external_id=value)
        elif attribute == "id":
            rows = rows.filter(user_id=_identifier("user", value))
        elif attribute == "displayname":
            named = ProvisionedPerson.objects.filter(display_name=value)
            rows = rows.filter(pk__in=named.values("member_id"))
        elif attribute == "active":
            rows = rows.filter(deactivated_at__isnull=value.lower() == "true")
        else:
            raise _unknown(attribute)
    return rows


def _teams(text: str) -> "QuerySet[Group]":
    """The directory's groups that a filter selects."""
    rows: QuerySet[Group] = Group.objects.filter(scim_managed=True)
    for attribute, value in (read_filter(text) if text else {}).items():
        if attribute == "displayname":
            rows = rows.filter(name=value)
        elif attribute == "externalid":
            rows = rows.filter(external_id=value)
        elif attribute == "id":
            rows = rows.filter(pk=_identifier("group", value))
        else:
            raise _unknown(attribute)
    return rows


def _identifier(prefix: str, text: str) -> Any:
    try:
        return ids.parse(prefix, text)
    except NotFound:
        return None


def _unknown(attribute: str) -> BadFilter:
    return BadFilter(f"'{attribute[:80]}' cannot be filtered by.")


def _created(resource: dict[str, Any]) -> Response:
    return Response(resource, status=201, headers={"Location": resource["meta"]["location"]})


def _one_or_all(found: list[dict[str, Any]], name: str) -> dict[str, Any]:
    if not name:
        return shapes.show_list(found, total=len(found), start=1)
    one = next((each for each in found if each["id"] == name), None)
    if one is None:
        raise NotFound(f"There is no '{name[:100]}'.")
    return one
