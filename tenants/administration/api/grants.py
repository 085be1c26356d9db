"""REST: single objects of the project, kept to some of its members and opened to others."""

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kernel import ids
from kernel.api.strict import StrictSerializer
from kernel.errors import InvalidRequest
from tenants.access.endpoint import Endpoint
from tenants.access.models import Group
from tenants.access.permissions import Permission
from tenants.access.restrictable import Restrictable
from tenants.access.services import grants, groups, members

ACTIONS = [
    action.value
    for action in (
        Permission.FILE_READ,
        Permission.FILE_WRITE,
        Permission.MODEL_READ,
        Permission.MODEL_WRITE,
        Permission.DEPLOYMENT_READ,
        Permission.DEPLOYMENT_WRITE,
        Permission.CHAT_USE,
    )
]
OBJECT = OpenApiParameter("object", str, required=True, description="The id of a file, model version…")
SUBJECT = OpenApiParameter("subject", str, required=True, description="The id of a member or a group.")


class GrantChangeSerializer(StrictSerializer):
    """Open an object to a member or group with exactly these actions."""

    object = serializers.CharField(max_length=100)
    subject = serializers.CharField(max_length=50)
    actions = serializers.ListField(
        child=serializers.ChoiceField(choices=ACTIONS), min_length=1, max_length=len(ACTIONS)
    )


class RestrictionSerializer(StrictSerializer):
    """Whether an object is kept to those to whom it is opened."""

    object = serializers.CharField(max_length=100)
    restricted = serializers.BooleanField()


class GrantSerializer(serializers.Serializer[Any]):
    """What one member or group may do with an object besides what their roles say."""

    subject = serializers.CharField()
    subject_type = serializers.ChoiceField(choices=["user", "group"])
    name = serializers.CharField()
    actions = serializers.ListField(child=serializers.ChoiceField(choices=ACTIONS))


class GrantsSerializer(serializers.Serializer[Any]):
    """Who reaches an object: everybody whose role allows it, unless it is restricted, and these."""

    object = serializers.CharField()
    restricted = serializers.BooleanField()
    possible_actions = serializers.ListField(child=serializers.ChoiceField(choices=ACTIONS))
    grants = GrantSerializer(many=True)


class GrantsView(Endpoint):
    """The grants on one object."""

    permission: ClassVar = {
        "GET": Permission.GRANT_READ,
        "PUT": Permission.GRANT_WRITE,
        "DELETE": Permission.GRANT_WRITE,
    }

    @extend_schema(parameters=[OBJECT], responses=GrantsSerializer)
    def get(self, request: Request) -> Response:
        return Response(_show(grants.find_object(_required(request, "object"), by=self.principal)))

    @extend_schema(request=GrantChangeSerializer, responses={200: GrantsSerializer})
    def put(self, request: Request) -> Response:
        body = GrantChangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        said = body.validated_data
        target = grants.find_object(said["object"], by=self.principal)
        actions = [Permission(action) for action in said["actions"]]
        grants.grant(target, _subject(said["subject"]), actions, by=self.principal)
        return Response(_show(target))

    @extend_schema(parameters=[OBJECT, SUBJECT], responses={200: GrantsSerializer})
    def delete(self, request: Request) -> Response:
        target = grants.find_object(_required(request, "object"), by=self.principal)
        grants.grant(target, _subject(_required(request, "subject")), (), by=self.principal)
        return Response(_show(target))


class RestrictionsView(Endpoint):
    """Keep an object to those to whom it is opened."""

    permission = Permission.GRANT_WRITE

    @extend_schema(request=RestrictionSerializer, responses={200: GrantsSerializer})
    def put(self, request: Request) -> Response:
        body = RestrictionSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        target = grants.find_object(body.validated_data["object"], by=self.principal)
        grants.restrict(target, restricted=body.validated_data["restricted"])
        return Response(_show(target))


def _required(request: Request, name: str) -> str:
    value = request.query_params.get(name)
    if not value:
        raise InvalidRequest(f"Say which one: the query parameter '{name}' is missing.", param=name)
    return str(value)


def _subject(public_id: str) -> grants.Subject:
    if public_id.startswith(ids.head_of("group")):
        return groups.find_group(public_id, param="subject")
    return members.find_member(public_id, param="subject")


def _show(target: Restrictable) -> dict[str, Any]:
    return {
        "object": grants.public_id_of(target),
        "restricted": target.restricted,
        "possible_actions": list(type(target).actions),
        "grants": [
            {
                "subject": grant.subject.public_id,
                "subject_type": "group" if isinstance(grant.subject, Group) else "user",
                "name": grant.subject.name if isinstance(grant.subject, Group) else grant.subject.user.name,
                "actions": list(grant.actions),
            }
            for grant in grants.grants_of(target)
        ],
    }
