"""REST: the session, and API keys."""

from typing import Any, ClassVar
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, QuerySet
from django.db.models.functions import JSONObject
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from kernel import ids
from kernel.api.callers import address_of
from kernel.api.pages import page, page_shape
from kernel.api.schema import PAGING
from kernel.api.strict import StrictSerializer
from kernel.errors import InvalidRequest, NotFound, Unauthenticated
from kernel.tenancy.scope import acting_for
from tenants.access import sessions, throttle
from tenants.access.authentication import principal_of_session
from tenants.access.endpoint import Endpoint
from tenants.access.models import ApiKey, KeyProject, Member, User
from tenants.access.permissions import Permission, Role
from tenants.access.principal import Principal
from tenants.access.proofs import Proof, proof_of
from tenants.access.services import keys, leaks, people
from tenants.access.services.keys import KeyWish
from tenants.access.standing import projects_for, reachable_projects, standing_of
from tenants.organizations.models import Organization, OrganizationState, Project

ROLES = [role.value for role in Role]
PERMISSIONS = [permission.value for permission in Permission]
KEY_OWNERS = ["user", "service_account"]
MAX_REPORTED_CHARACTERS = 200
MAX_URL_CHARACTERS = 2000
MAX_REPORTS_PER_MINUTE = 30
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


class KeyOwnerSerializer(serializers.Serializer[Any]):
    """Who a key acts for: a person, or a service account."""

    type = serializers.ChoiceField(choices=KEY_OWNERS)
    id = serializers.CharField()
    name = serializers.CharField()


class ApiKeySerializer(serializers.Serializer[Any]):
    """An API key without its secret. Empty lists of models and networks restrict nothing."""

    id = serializers.CharField()
    name = serializers.CharField()
    prefix = serializers.CharField()
    redacted_value = serializers.CharField()
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)
    previous_secret_until = serializers.DateTimeField(allow_null=True)
    created_by = serializers.CharField(allow_null=True)
    owner = KeyOwnerSerializer(allow_null=True)
    permissions = serializers.ListField(child=serializers.ChoiceField(choices=PERMISSIONS))
    projects = PlaceSerializer(many=True)
    models = serializers.ListField(child=serializers.CharField())
    networks = serializers.ListField(child=serializers.CharField())


class NewApiKeySerializer(ApiKeySerializer):
    """An API key just made or rotated: the only time its secret is shown."""

    secret = serializers.CharField()


class ApiKeyRequestSerializer(StrictSerializer):
    """What a new key is to be."""

    name = serializers.CharField(max_length=keys.MAX_NAME_CHARACTERS)
    permissions = serializers.ListField(
        child=serializers.CharField(max_length=50), max_length=len(PERMISSIONS), required=False
    )
    projects = serializers.ListField(
        child=serializers.CharField(max_length=60), max_length=keys.MAX_PROJECTS, required=False
    )
    models = serializers.ListField(
        child=serializers.CharField(max_length=keys.MAX_MODEL_CHARACTERS),
        max_length=keys.MAX_MODELS,
        required=False,
    )
    networks = serializers.ListField(
        child=serializers.CharField(max_length=50), max_length=keys.MAX_NETWORKS, required=False
    )
    expires_at = serializers.DateTimeField(required=False, allow_null=True)


class RotationRequestSerializer(StrictSerializer):
    """How long the old secret goes on opening beside the new one."""

    overlap_seconds = serializers.IntegerField(
        min_value=0, max_value=keys.MAX_OVERLAP_SECONDS, required=False, default=0
    )


class LeakReportSerializer(StrictSerializer):
    """A secret that was found in public, and where."""

    key = serializers.CharField(max_length=MAX_REPORTED_CHARACTERS, trim_whitespace=True)
    url = serializers.CharField(max_length=MAX_URL_CHARACTERS, required=False, allow_blank=True)


class LeakReceiptSerializer(serializers.Serializer[Any]):
    """The same for every report, whether or not there is such a key."""

    object = serializers.CharField()
    received = serializers.BooleanField()


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
    requires_recent_sign_in = True

    @extend_schema(parameters=PAGING, responses=page_shape("ApiKeyPage", ApiKeySerializer))
    def get(self, request: Request) -> Response:
        return Response(page(_keys_of(self.principal), request.query_params, prefix="key", show=_show_key))

    @extend_schema(request=ApiKeyRequestSerializer, responses={201: NewApiKeySerializer})
    def post(self, request: Request) -> Response:
        body = ApiKeyRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = dict(body.validated_data)
        named = wanted.pop("projects", ())
        wish = KeyWish(**wanted, projects=reachable_projects(named, by=self.principal))
        made = keys.make_project_key(wish, by=self.principal)
        shown = _show_key(_key(made.key.public_id, self.principal))
        return Response({**shown, "secret": made.secret}, status=201)


class ApiKeyView(Endpoint):
    """One API key."""

    permission: ClassVar = {"GET": Permission.KEY_READ, "DELETE": Permission.KEY_WRITE}

    @extend_schema(responses=ApiKeySerializer)
    def get(self, request: Request, key_id: str) -> Response:
        return Response(_show_key(_key(key_id, self.principal)))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, key_id: str) -> Response:
        keys.revoke_api_key(_key(key_id, self.principal), self.principal)
        return Response(status=204)


class ApiKeyRotationView(Endpoint):
    """A new secret for a key; the old one still opens for a while, if that is wished."""

    permission = Permission.KEY_WRITE
    requires_recent_sign_in = True

    @extend_schema(request=RotationRequestSerializer, responses=NewApiKeySerializer)
    def post(self, request: Request, key_id: str) -> Response:
        body = RotationRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        overlap_seconds = body.validated_data["overlap_seconds"]
        key = _key(key_id, self.principal)
        made = keys.rotate_key(key, overlap_seconds=overlap_seconds, by=self.principal)
        return Response({**_show_key(_key(key_id, self.principal)), "secret": made.secret})


class LeakedKeysView(APIView):
    """Whoever finds a secret in public reports it here, without signing in; a live key ends at once."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(request=LeakReportSerializer, responses={202: LeakReceiptSerializer}, auth=[])
    def post(self, request: Request) -> Response:
        address = address_of(request._request)
        throttle.count("leaked-keys", address, per_minute=MAX_REPORTS_PER_MINUTE)
        body = LeakReportSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        report = leaks.Report(
            where=body.validated_data.get("url", ""),
            address=address,
            request_id=request.META.get("REQUEST_ID", ""),
        )
        leaks.report_leak(body.validated_data["key"], report)
        return Response({"object": "leak_report", "received": True}, status=202)


def _keys_of(principal: Principal) -> QuerySet[ApiKey]:
    """The live keys of the chosen project, each with its further projects as `further`."""
    further = KeyProject.objects.filter(key=OuterRef("pk")).order_by("project_id")
    shown = further.values(shown=JSONObject(id="project_id", name="project__name"))
    rows: QuerySet[ApiKey] = ApiKey.objects.filter(project_id=principal.project_id, revoked_at=None)
    return rows.select_related("created_by", "service_account").annotate(further=ArraySubquery(shown))


def _key(key_id: str, principal: Principal) -> ApiKey:
    key = _keys_of(principal).filter(pk=ids.parse("key", key_id)).first()
    if key is None:
        raise NotFound(f"There is no API key '{key_id}'.")
    return key


def _show_key(key: Any) -> dict[str, Any]:
    until = key.previous_until
    return {
        "id": key.public_id,
        "name": key.name,
        "prefix": f"{key.prefix}…",
        "redacted_value": key.redacted,
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
        "expires_at": key.expires_at,
        "previous_secret_until": until if until and until > timezone.now() else None,
        "created_by": ids.render("user", key.created_by_id) if key.created_by_id else None,
        "owner": _show_owner(key),
        "permissions": key.permissions,
        "projects": [{"id": ids.render("proj", UUID(one["id"])), "name": one["name"]} for one in key.further],
        "models": key.allowed_models,
        "networks": key.allowed_networks,
    }


def _show_owner(key: ApiKey) -> dict[str, str] | None:
    if key.service_account is not None:
        account = key.service_account
        return {"type": "service_account", "id": account.public_id, "name": account.name}
    if key.created_by is not None:
        return {"type": "user", "id": key.created_by.public_id, "name": key.created_by.name}
    return None


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
