"""REST: what the organization may use, what it allows itself, and what is used."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kernel import ids
from kernel.api.strict import StrictSerializer
from kernel.tenancy.scope import current_organization_id
from tenants.access.endpoint import OrganizationEndpoint
from tenants.access.permissions import Permission
from tenants.limits.kinds import MAX_VALUE, Bound, Kind, Scope, Subject, period_of, resets_at, strictest
from tenants.limits.models import Limit
from tenants.limits.services import bounds, seats, storage, uses
from tenants.organizations.models import Organization

SCOPES = [scope.value for scope in Scope]
KINDS = [kind.value for kind in Kind]
PREFIXES = {Scope.PROJECT: "proj", Scope.GROUP: "group", Scope.MEMBER: "user", Scope.KEY: "key"}


class LimitRequestSerializer(StrictSerializer):
    """A limit to set: for whom, of what, how much. A second one for the same replaces the first."""

    scope = serializers.ChoiceField(choices=SCOPES)
    subject_id = serializers.CharField(required=False, allow_null=True)
    model = serializers.CharField(required=False, allow_blank=True, max_length=250)
    kind = serializers.ChoiceField(choices=KINDS)
    value = serializers.IntegerField(min_value=0, max_value=MAX_VALUE)


class LimitSerializer(serializers.Serializer[Any]):
    """A limit; `used` and `resets_at` are null for what the gateways count by the minute."""

    id = serializers.CharField(allow_null=True)
    scope = serializers.ChoiceField(choices=SCOPES)
    subject_id = serializers.CharField(allow_null=True)
    model = serializers.CharField()
    kind = serializers.ChoiceField(choices=KINDS)
    value = serializers.IntegerField()
    from_plan = serializers.BooleanField()
    used = serializers.IntegerField(allow_null=True)
    resets_at = serializers.DateTimeField(allow_null=True)


class LimitsSerializer(serializers.Serializer[Any]):
    """The plan, every limit that is set, and the strictest of each kind for whoever was asked about."""

    plan = serializers.CharField()
    seats = serializers.IntegerField(allow_null=True)
    seats_used = serializers.IntegerField()
    limits = LimitSerializer(many=True)
    effective = LimitSerializer(many=True)


def _who(name: str, words: str) -> OpenApiParameter:
    return OpenApiParameter(name, str, description=f"Show what is effective for this {words}.")


class LimitsView(OrganizationEndpoint):
    """The organization's limits."""

    permission: ClassVar = {"GET": Permission.LIMIT_READ, "PUT": Permission.LIMIT_WRITE}

    @extend_schema(
        parameters=[
            _who("project_id", "project"),
            _who("user_id", "member"),
            _who("key_id", "key"),
            _who("model", "model"),
        ],
        responses=LimitsSerializer,
    )
    def get(self, request: Request) -> Response:
        organization = Organization.objects.get(pk=current_organization_id())
        rows = list(Limit.objects.order_by("pk"))
        applying = bounds.bounds_for(_caller(request))
        set_here = {(bounds.bound_of(row).subject, row.kind): row.public_id for row in rows}
        return Response(
            {
                "plan": organization.plan,
                "seats": seats.seats(),
                "seats_used": seats.seats_taken(),
                "limits": [
                    *(show_bound(bounds.bound_of(row), row.public_id) for row in rows),
                    *(show_bound(bound) for bound in bounds.bounds_of_plan()),
                ],
                "effective": [
                    show_bound(
                        bound, None if bound.from_plan else set_here[(bound.subject, bound.kind.value)]
                    )
                    for bound in strictest(applying).values()
                ],
            }
        )

    @extend_schema(request=LimitRequestSerializer, responses={200: LimitSerializer})
    def put(self, request: Request) -> Response:
        body = LimitRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        found = body.validated_data
        scope = Scope(found["scope"])
        subject = Subject(scope, _subject_id(scope, found.get("subject_id")), found.get("model", ""))
        limit = bounds.set_limit(subject, Kind(found["kind"]), found["value"])
        return Response(show_bound(bounds.bound_of(limit), limit.public_id))


class LimitView(OrganizationEndpoint):
    """One limit that the organization set."""

    permission: ClassVar = {"GET": Permission.LIMIT_READ, "DELETE": Permission.LIMIT_WRITE}

    @extend_schema(responses=LimitSerializer)
    def get(self, request: Request, limit_id: str) -> Response:
        limit = bounds.find_limit(ids.parse("limit", limit_id))
        return Response(show_bound(bounds.bound_of(limit), limit.public_id))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, limit_id: str) -> Response:
        bounds.remove_limit(bounds.find_limit(ids.parse("limit", limit_id)))
        return Response(status=204)


def show_bound(bound: Bound, public_id: str | None = None) -> dict[str, Any]:
    """A limit with what is used of it."""
    now = uses.database_now()
    subject = bound.subject
    named = ids.render(PREFIXES[subject.scope], subject.subject_id) if subject.subject_id else None
    return {
        "id": public_id,
        "scope": subject.scope.value,
        "subject_id": named,
        "model": subject.model,
        "kind": bound.kind.value,
        "value": bound.value,
        "from_plan": bound.from_plan,
        "used": _used(bound),
        "resets_at": resets_at(bound.kind, now),
    }


def _used(bound: Bound) -> int | None:
    if bound.kind is Kind.STORAGE_BYTES:
        return storage.used(bound.subject)
    if period_of(bound.kind, uses.database_now()) is None:
        return None
    return uses.used(bound.kind, bound.subject)


def _subject_id(scope: Scope, text: str | None) -> UUID | None:
    if not text or scope is Scope.ORGANIZATION:
        return None
    return ids.parse(PREFIXES[scope], text, param="subject_id")


def _caller(request: Request) -> bounds.Caller:
    query = request.query_params
    named = {
        name: ids.parse(prefix, query[name], param=name)
        for name, prefix in (("project_id", "proj"), ("user_id", "user"), ("key_id", "key"))
        if query.get(name)
    }
    bounds.require_known(named)
    return bounds.Caller(**named, model=query.get("model", ""))
