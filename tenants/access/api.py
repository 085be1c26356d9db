"""REST: the session, and API keys."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kernel import ids
from kernel.api.pages import page, page_shape
from kernel.api.schema import PAGING
from kernel.errors import InvalidRequest, NotFound, Unauthenticated
from kernel.tenancy.scope import acting_for
from tenants.access import sessions
from tenants.access.authentication import principal_of_session
from tenants.access.endpoint import Endpoint
from tenants.access.models import ApiKey, Member, User
from tenants.access.permissions import Permission, Role
from tenants.access.principal import Principal
from tenants.access.proofs import Proof, proof_of
from tenants.access.services import keys, people
from tenants.access.standing import projects_for, standing_of
from tenants.organizations.models import Organization, OrganizationState, Project

ROLES = [role.value for role in Role]
PERMISSIONS = [permission.value for permission in Permission]
STATES = [state.value for state in OrganizationState]


class PlaceSerializer(serializers.Serializer[Any]):
    """An organization or a project."""

    id = serializers.CharField()
    name = serializers.CharField()


class MembershipSerializer(PlaceSerializer):
    """An organization that can be chosen, and whether it is active."""

    state = serializers.ChoiceField(choices=STATES)


class PersonSerializer(serializers.Serializer[Any]):
    """Who is signed in."""

    id = serializers.CharField()
    email = serializers.CharField()
    name = serializers.CharField()


class SessionSerializer(serializers.Serializer[Any]):
    """What the console needs to know of the caller."""

    user = PersonSerializer(allow_null=True)
    organization = PlaceSerializer()
    organizations = MembershipSerializer(many=True)
    project = PlaceSerializer(allow_null=True)
    projects = PlaceSerializer(many=True)
    role = serializers.ChoiceField(choices=ROLES, allow_null=True)
    permissions = serializers.ListField(child=serializers.ChoiceField(choices=PERMISSIONS))


class SessionChoiceSerializer(serializers.Serializer[Any]):
    """The organization or the project to work in from now on."""

    organization_id = serializers.CharField(required=False)
    project_id = serializers.CharField(required=False)


class ApiKeySerializer(serializers.Serializer[Any]):
    """An API key without its secret."""

    id = serializers.CharField()
    name = serializers.CharField()
    prefix = serializers.CharField()
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)
    created_by = serializers.CharField(allow_null=True)


class NewApiKeySerializer(ApiKeySerializer):
    """An API key just made: the only time its secret is shown."""

    secret = serializers.CharField()


class ApiKeyRequestSerializer(serializers.Serializer[Any]):
    """What a new key is called."""

    name = serializers.CharField(max_length=keys.MAX_NAME_CHARACTERS)


class SessionView(Endpoint):
    """Who is signed in, where, and what they may do."""

    permission = Permission.ORGANIZATION_READ
    scoped = False

    @extend_schema(responses=SessionSerializer)
    def get(self, request: Request) -> Response:
        with self.scope():
            return Response(_show_session(self.principal, proof_of(request._request.session)))

    @extend_schema(request=SessionChoiceSerializer, responses=SessionSerializer)
    def put(self, request: Request) -> Response:
        if self.principal.user_id is None:
            raise InvalidRequest("An API key is fixed to its project; only a browser session can switch.")
        choice = SessionChoiceSerializer(data=request.data)
        choice.is_valid(raise_exception=True)
        _choose(request, choice.validated_data)
        principal = principal_of_session(request._request)
        if principal is None:
            raise NotFound("There is no organization to work in.")
        with acting_for(principal.organization_id):
            return Response(_show_session(principal, proof_of(request._request.session)))


class ApiKeysView(Endpoint):
    """The project's API keys."""

    permission: ClassVar = {"GET": Permission.KEY_READ, "POST": Permission.KEY_WRITE}

    @extend_schema(parameters=PAGING, responses=page_shape("ApiKeyPage", ApiKeySerializer))
    def get(self, request: Request) -> Response:
        rows = ApiKey.objects.filter(project_id=self.principal.project_id, revoked_at=None)
        return Response(page(rows, request.query_params, prefix="key", show=_show_key))

    @extend_schema(request=ApiKeyRequestSerializer, responses={201: NewApiKeySerializer})
    def post(self, request: Request) -> Response:
        body = ApiKeyRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        project = Project.objects.get(pk=self.principal.project_id)
        made = keys.make_api_key(
            body.validated_data["name"], project=project, by=people.person_of(self.principal)
        )
        return Response({**_show_key(made.key), "secret": made.secret}, status=201)


class ApiKeyView(Endpoint):
    """One API key."""

    permission = Permission.KEY_WRITE

    @extend_schema(responses={204: None})
    def delete(self, request: Request, key_id: str) -> Response:
        key = ApiKey.objects.filter(
            pk=ids.parse("key", key_id), project_id=self.principal.project_id, revoked_at=None
        ).first()
        if key is None:
            raise NotFound(f"There is no API key '{key_id}'.")
        keys.revoke_api_key(key, self.principal)
        return Response(status=204)


def _show_key(key: ApiKey) -> dict[str, Any]:
    key.refresh_from_db(fields=["created_at"])
    return {
        "id": key.public_id,
        "name": key.name,
        "prefix": f"{key.prefix}…",
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
        "expires_at": key.expires_at,
        "created_by": ids.render("user", key.created_by_id) if key.created_by_id else None,
    }


def _choose(request: Request, choice: dict[str, str]) -> None:
    session, person = request._request.session, request.user
    if not isinstance(person, User):
        raise Unauthenticated
    proof = proof_of(session)
    if organization := choice.get("organization_id"):
        wanted = ids.parse("org", organization, param="organization_id")
        if wanted not in {m.organization_id for m in sessions.memberships_open_to(person, proof)}:
            raise NotFound("There is no such organization.", param="organization_id")
        session[sessions.ORGANIZATION_KEY] = str(wanted)
        session.pop(sessions.PROJECT_KEY, None)
    if project := choice.get("project_id"):
        chosen = ids.parse("proj", project, param="project_id")
        found = sessions.principal_for(person, session.get(sessions.ORGANIZATION_KEY), str(chosen), proof)
        if found is None or found.project != chosen:
            raise NotFound("There is no such project.", param="project_id")
        session[sessions.PROJECT_KEY] = str(chosen)


def _show_session(principal: Principal, proof: Proof) -> dict[str, Any]:
    person = people.person_of(principal)
    organization = Organization.objects.get(pk=principal.organization_id)
    member = Member.objects.filter(user=person).first() if person else None
    standing = standing_of(member) if member else None
    if person and standing:
        projects = projects_for(person, standing)
    else:
        projects = list(Project.objects.filter(pk=principal.project))
    chosen = next((project for project in projects if project.pk == principal.project), None)
    memberships = sessions.memberships_open_to(person, proof) if person else []
    return {
        "user": {"id": person.public_id, "email": person.email, "name": person.name} if person else None,
        "organization": {"id": organization.public_id, "name": organization.name},
        "organizations": [
            {"id": ids.render("org", m.organization_id), "name": m.name, "state": m.state.value}
            for m in memberships
        ],
        "project": {"id": chosen.public_id, "name": chosen.name} if chosen else None,
        "projects": [{"id": p.public_id, "name": p.name} for p in projects],
        "role": standing.role if standing else None,
        "permissions": sorted(principal.permissions),
    }
