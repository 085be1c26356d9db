"""REST: legal holds, set and lifted with reasons."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kernel import ids
from kernel.api.pages import page, page_shape
from kernel.api.schema import PAGING
from kernel.api.strict import StrictSerializer
from kernel.errors import InvalidRequest, NotFound
from tenants.access.endpoint import OrganizationEndpoint
from tenants.access.permissions import Permission
from tenants.access.services.members import find_member
from tenants.datasets.models import File
from tenants.organizations.models import HeldSubject, LegalHold
from tenants.organizations.services import holds

SUBJECTS = HeldSubject.values
PREFIXES = {HeldSubject.PERSON: "user", HeldSubject.FILE: "file"}


class LegalHoldRequestSerializer(StrictSerializer):
    """What is held, by its id (none for the whole organization), under which name and why."""

    subject = serializers.ChoiceField(choices=SUBJECTS)
    subject_id = serializers.CharField(max_length=60, required=False)
    name = serializers.CharField(max_length=holds.MAX_NAME_CHARACTERS)
    reason = serializers.CharField(max_length=holds.MAX_REASON_CHARACTERS)


class LiftRequestSerializer(StrictSerializer):
    """Why a hold is lifted."""

    reason = serializers.CharField(max_length=holds.MAX_REASON_CHARACTERS)


class LegalHoldSerializer(serializers.Serializer[Any]):
    """A hold, in force until it was lifted."""

    id = serializers.CharField()
    object = serializers.CharField()
    subject = serializers.ChoiceField(choices=SUBJECTS)
    subject_id = serializers.CharField(allow_null=True)
    name = serializers.CharField()
    reason = serializers.CharField()
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField(allow_null=True)
    lifted_at = serializers.DateTimeField(allow_null=True)
    lifted_by = serializers.CharField(allow_null=True)
    lifted_because = serializers.CharField()


class LegalHoldsView(OrganizationEndpoint):
    """The organization's holds, lifted ones included."""

    permission: ClassVar = {"GET": Permission.COMPLIANCE_READ, "POST": Permission.COMPLIANCE_WRITE}

    @extend_schema(parameters=PAGING, responses=page_shape("LegalHoldPage", LegalHoldSerializer))
    def get(self, request: Request) -> Response:
        return Response(page(LegalHold.objects.all(), request.query_params, prefix="hold", show=show_hold))

    @extend_schema(request=LegalHoldRequestSerializer, responses={201: LegalHoldSerializer})
    def post(self, request: Request) -> Response:
        body = LegalHoldRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        named = body.validated_data
        kind = HeldSubject(named["subject"])
        hold = holds.set_hold(
            kind,
            _subject_id(kind, named.get("subject_id")),
            name=named["name"],
            reason=named["reason"],
            by=self.principal.user_id,
        )
        return Response(show_hold(hold), status=201)


class LegalHoldView(OrganizationEndpoint):
    """One hold."""

    permission = Permission.COMPLIANCE_READ

    @extend_schema(responses=LegalHoldSerializer)
    def get(self, request: Request, hold_id: str) -> Response:
        return Response(show_hold(holds.find_hold(ids.parse("hold", hold_id))))


class LegalHoldLiftView(OrganizationEndpoint):
    """Lift a hold."""

    permission = Permission.COMPLIANCE_WRITE
    requires_recent_sign_in = True

    @extend_schema(request=LiftRequestSerializer, responses={200: LegalHoldSerializer})
    def post(self, request: Request, hold_id: str) -> Response:
        hold = holds.find_hold(ids.parse("hold", hold_id))
        body = LiftRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        lifted = holds.lift_hold(hold.pk, reason=body.validated_data["reason"], by=self.principal.user_id)
        return Response(show_hold(lifted))


def show_hold(hold: LegalHold) -> dict[str, Any]:
    """A hold as the API shows it."""
    prefix = PREFIXES.get(HeldSubject(hold.subject_kind))
    return {
        "id": hold.public_id,
        "object": "compliance.legal_hold",
        "subject": hold.subject_kind,
        "subject_id": ids.render(prefix, hold.subject_id) if prefix and hold.subject_id else None,
        "name": hold.name,
        "reason": hold.reason,
        "created_at": hold.created_at,
        "created_by": _user(hold.created_by_id),
        "lifted_at": hold.lifted_at,
        "lifted_by": _user(hold.lifted_by_id),
        "lifted_because": hold.lifted_because,
    }


def _subject_id(kind: HeldSubject, public_id: str | None) -> UUID | None:
    if kind is HeldSubject.ORGANIZATION:
        if public_id is not None:
            raise InvalidRequest("The whole organization needs no id.", param="subject_id")
        return None
    if public_id is None:
        raise InvalidRequest("Name what is held.", param="subject_id")
    if kind is HeldSubject.PERSON:
        return find_member(public_id, param="subject_id").user_id
    file_id = ids.parse("file", public_id, param="subject_id")
    if not File.objects.filter(pk=file_id).exists():
        raise NotFound(f"There is no file '{public_id[:80]}'.", param="subject_id")
    return file_id


def _user(identifier: UUID | None) -> str | None:
    return ids.render("user", identifier) if identifier else None
