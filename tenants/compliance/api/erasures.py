"""REST: requests for erasure, their plans and certificates, and the organization's policy for them."""

import base64
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kernel import ids
from kernel.api.pages import page, page_shape
from kernel.api.schema import PAGING
from kernel.api.strict import StrictSerializer
from kernel.crypto import signing
from tenants.access.endpoint import OrganizationEndpoint
from tenants.access.permissions import Permission
from tenants.access.services.members import find_member
from tenants.compliance.errors import ErasureUnknown
from tenants.compliance.models import Certificate, ErasureRequest, ErasureState
from tenants.compliance.services import erasures
from tenants.organizations.models import Organization

STATES = ErasureState.values


class NamedRowsSerializer(StrictSerializer):
    """Rows of one file, by their numbers."""

    file_id = serializers.CharField(max_length=60)
    numbers = serializers.ListField(
        child=serializers.IntegerField(min_value=1), min_length=1, max_length=erasures.MAX_ROWS
    )


class ErasureRequestSerializer(StrictSerializer):
    """Who or what is to be erased: a member, whoever the words name (addresses, phrases), rows of files."""

    user_id = serializers.CharField(max_length=60, required=False)
    words = serializers.ListField(
        child=serializers.CharField(max_length=erasures.MAX_WORD_CHARACTERS),
        max_length=erasures.MAX_WORDS,
        required=False,
    )
    rows = NamedRowsSerializer(many=True, required=False)
    reference = serializers.CharField(
        max_length=erasures.MAX_REFERENCE_CHARACTERS, required=False, allow_blank=True
    )


class TraceSerializer(serializers.Serializer[Any]):
    """Something that holds what is to be erased: where, how many, and what becomes of it."""

    kind = serializers.CharField()
    place = serializers.CharField()
    count = serializers.IntegerField()
    fate = serializers.CharField()
    because = serializers.CharField()


class KindCountSerializer(serializers.Serializer[Any]):
    """How many of a kind, and what becomes of them."""

    kind = serializers.CharField()
    fate = serializers.CharField()
    count = serializers.IntegerField()


class ErasureSerializer(serializers.Serializer[Any]):
    """A request, how far it is, and once everything is found, its plan."""

    id = serializers.CharField()
    object = serializers.CharField()
    state = serializers.ChoiceField(choices=STATES)
    user_id = serializers.CharField(allow_null=True)
    reference = serializers.CharField()
    done = serializers.IntegerField()
    total = serializers.IntegerField()
    fault = serializers.CharField()
    summary = KindCountSerializer(many=True)
    plan = TraceSerializer(many=True)
    models_to_retrain = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField(allow_null=True)
    planned_at = serializers.DateTimeField(allow_null=True)
    approved_at = serializers.DateTimeField(allow_null=True)
    approved_by = serializers.CharField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class ErasureCertificateSerializer(serializers.Serializer[Any]):
    """A certificate: the text that was signed, to the letter, and all that its verification needs."""

    id = serializers.CharField()
    object = serializers.CharField()
    document = serializers.CharField()
    algorithm = serializers.CharField()
    key_id = serializers.CharField()
    signature = serializers.CharField()
    public_key = serializers.CharField(allow_null=True)


class ErasurePolicySerializer(StrictSerializer):
    """Whether whoever asks for an erasure may not be the one who approves it."""

    needs_two = serializers.BooleanField()


class ErasuresView(OrganizationEndpoint):
    """The organization's requests for erasure."""

    permission: ClassVar = {"GET": Permission.COMPLIANCE_READ, "POST": Permission.COMPLIANCE_WRITE}

    @extend_schema(parameters=PAGING, responses=page_shape("ErasurePage", ErasureSerializer))
    def get(self, request: Request) -> Response:
        rows = ErasureRequest.objects.all()
        return Response(page(rows, request.query_params, prefix="erasure", show=show_erasure))

    @extend_schema(request=ErasureRequestSerializer, responses={202: ErasureSerializer})
    def post(self, request: Request) -> Response:
        body = ErasureRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        named = body.validated_data
        wish = erasures.Wish(
            member=find_member(named["user_id"]) if "user_id" in named else None,
            words=named.get("words", ()),
            rows={rows["file_id"]: rows["numbers"] for rows in named.get("rows", ())},
            reference=named.get("reference", ""),
        )
        return Response(show_erasure(erasures.request_erasure(wish, by=self.principal)), status=202)


class ErasureView(OrganizationEndpoint):
    """One request; deleting it takes it back, which an approved one no longer can be."""

    permission: ClassVar = {"GET": Permission.COMPLIANCE_READ, "DELETE": Permission.COMPLIANCE_WRITE}

    @extend_schema(responses=ErasureSerializer)
    def get(self, request: Request, erasure_id: str) -> Response:
        return Response(show_erasure(erasures.find_erasure(erasure_id)))

    @extend_schema(responses={200: ErasureSerializer})
    def delete(self, request: Request, erasure_id: str) -> Response:
        return Response(show_erasure(erasures.cancel_erasure(erasures.find_erasure(erasure_id))))


class ErasureApprovalView(OrganizationEndpoint):
    """Approve a plan: what it names is erased."""

    permission = Permission.COMPLIANCE_APPROVE
    requires_recent_sign_in = True

    @extend_schema(request=None, responses={202: ErasureSerializer})
    def post(self, request: Request, erasure_id: str) -> Response:
        found = erasures.find_erasure(erasure_id)
        return Response(show_erasure(erasures.approve_erasure(found, by=self.principal)), status=202)


class ErasureCertificateView(OrganizationEndpoint):
    """The signed certificate of an erasure that is done."""

    permission = Permission.COMPLIANCE_READ

    @extend_schema(responses=ErasureCertificateSerializer)
    def get(self, request: Request, erasure_id: str) -> Response:
        certificate = Certificate.objects.filter(request=erasures.find_erasure(erasure_id)).first()
        if certificate is None:
            raise ErasureUnknown("The erasure is not done: it has no certificate yet.", param="erasure_id")
        return Response(show_certificate(certificate))


class ErasurePolicyView(OrganizationEndpoint):
    """Whether an erasure needs two people."""

    permission: ClassVar = {"GET": Permission.COMPLIANCE_READ, "PUT": Permission.COMPLIANCE_WRITE}
    requires_recent_sign_in = True

    @extend_schema(responses=ErasurePolicySerializer)
    def get(self, request: Request) -> Response:
        return Response({"needs_two": Organization.objects.get().erasure_needs_two})

    @extend_schema(request=ErasurePolicySerializer, responses={200: ErasurePolicySerializer})
    def put(self, request: Request) -> Response:
        body = ErasurePolicySerializer(data=request.data)
        body.is_valid(raise_exception=True)
        erasures.change_policy(needs_two=body.validated_data["needs_two"])
        return Response({"needs_two": Organization.objects.get().erasure_needs_two})


def show_erasure(request: ErasureRequest) -> dict[str, Any]:
    """A request as the API shows it."""
    traces = request.plan.get("traces", [])
    return {
        "id": request.public_id,
        "object": "compliance.erasure",
        "state": request.state,
        "user_id": _user(request.person),
        "reference": request.reference,
        "done": request.done,
        "total": request.total,
        "fault": request.fault,
        "summary": request.plan.get("summary", []),
        "plan": [
            {name: trace[name] for name in ("kind", "place", "count", "fate", "because")} for trace in traces
        ],
        "models_to_retrain": [trace["place"] for trace in traces if trace["fate"] == "retrain"],
        "created_at": request.created_at,
        "created_by": _user(request.created_by_id),
        "planned_at": request.planned_at,
        "approved_at": request.approved_at,
        "approved_by": _user(request.approved_by_id),
        "finished_at": request.finished_at,
    }


def show_certificate(certificate: Certificate) -> dict[str, Any]:
    """A certificate with the public key that verifies it."""
    return {
        "id": certificate.public_id,
        "object": "compliance.certificate",
        "document": certificate.document,
        "algorithm": "Ed25519",
        "key_id": certificate.key_id,
        "signature": base64.b64encode(bytes(certificate.signature)).decode(),
        "public_key": signing.public_keys().get(certificate.key_id),
    }


def _user(identifier: Any) -> str | None:
    return ids.render("user", identifier) if identifier else None
