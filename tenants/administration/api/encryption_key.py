"""REST: the organization's encryption keys, the master key that it brings, rotation and re-encryption."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kernel.api.strict import StrictSerializer
from kernel.crypto import keys
from kernel.crypto import reencryption as work
from kernel.crypto.models import OwnKey, ReEncryption, ReEncryptionState
from kernel.tenancy.scope import acting_for
from tenants.access.endpoint import OrganizationEndpoint
from tenants.access.permissions import Permission
from tenants.organizations.services import encryption, reencryption
from tenants.organizations.services.encryption import OwnKeyWish

PROVIDERS = [name for name, _ in OwnKey.PROVIDERS]
STATES = [state.value for state in ReEncryptionState]


class OwnKeySerializer(serializers.Serializer[Any]):
    """A master key that the organization keeps itself, without the access to it."""

    provider = serializers.ChoiceField(choices=PROVIDERS)
    key = serializers.CharField()
    role = serializers.CharField(allow_null=True)
    address = serializers.CharField(allow_null=True)
    mount = serializers.CharField(allow_null=True)
    namespace = serializers.CharField(allow_null=True)
    answered_at = serializers.DateTimeField()
    refused_at = serializers.DateTimeField(allow_null=True)


class ReEncryptionSerializer(serializers.Serializer[Any]):
    """Bringing everything under the newest key: what was looked at and what was moved.

    It ends with the pass in which nothing was left to move.
    """

    state = serializers.ChoiceField(choices=STATES)
    passes = serializers.IntegerField()
    seen = serializers.IntegerField()
    moved = serializers.IntegerField()
    left_in_pass = serializers.IntegerField()
    unreadable = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class EncryptionKeySerializer(serializers.Serializer[Any]):
    """What the organization's content is sealed with.

    `external_id` is what a role in AWS must ask for from whoever assumes it.
    """

    object = serializers.CharField()
    version = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    older_versions = serializers.IntegerField()
    values_under_older_versions = serializers.IntegerField()
    external_id = serializers.CharField()
    own_key = OwnKeySerializer(allow_null=True)
    re_encryption = ReEncryptionSerializer(allow_null=True)


class OwnKeyRequestSerializer(StrictSerializer):
    """A key in AWS KMS (`key` is its ARN) or in Vault's transit engine (`key` is its name)."""

    provider = serializers.ChoiceField(choices=PROVIDERS)
    key = serializers.CharField(max_length=512)
    role = serializers.CharField(max_length=512, required=False, default="")
    address = serializers.CharField(max_length=2048, required=False, default="")
    mount = serializers.CharField(max_length=200, required=False, default="transit")
    namespace = serializers.CharField(max_length=200, required=False, default="")
    token = serializers.CharField(max_length=4096, required=False, default="")


class RetirementSerializer(serializers.Serializer[Any]):
    """How many older versions were emptied."""

    retired = serializers.IntegerField()


class KeyEndpoint(OrganizationEndpoint):
    """Keys are asked of their providers while no transaction is open."""

    scoped = False
    requires_recent_sign_in = True

    @property
    def organization_id(self) -> UUID:
        """Whose keys."""
        return self.principal.organization_id


class EncryptionKeyView(KeyEndpoint):
    """The organization's key, and the master key that it keeps itself."""

    permission: ClassVar = {
        "GET": Permission.ENCRYPTION_KEY_READ,
        "PUT": Permission.ENCRYPTION_KEY_WRITE,
        "DELETE": Permission.ENCRYPTION_KEY_WRITE,
    }

    @extend_schema(responses=EncryptionKeySerializer)
    def get(self, request: Request) -> Response:
        return Response(show_key(self.organization_id))

    @extend_schema(request=OwnKeyRequestSerializer, responses=EncryptionKeySerializer)
    def put(self, request: Request) -> Response:
        body = OwnKeyRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        encryption.bring_key(self.organization_id, OwnKeyWish(**body.validated_data))
        return Response(show_key(self.organization_id))

    @extend_schema(request=None, responses=EncryptionKeySerializer)
    def delete(self, request: Request) -> Response:
        encryption.remove_key(self.organization_id)
        return Response(show_key(self.organization_id))


class RotationView(KeyEndpoint):
    """Seal with a fresh key from now on."""

    permission = Permission.ENCRYPTION_KEY_WRITE

    @extend_schema(request=None, responses={200: EncryptionKeySerializer})
    def post(self, request: Request) -> Response:
        encryption.rotate(self.organization_id)
        return Response(show_key(self.organization_id))


class RetirementView(KeyEndpoint):
    """Empty the older versions once nothing is under them."""

    permission = Permission.ENCRYPTION_KEY_WRITE

    @extend_schema(request=None, responses={200: RetirementSerializer})
    def post(self, request: Request) -> Response:
        return Response({"retired": encryption.retire_older(self.organization_id)})


class ReEncryptionView(KeyEndpoint):
    """The last re-encryption, and the start of one."""

    permission: ClassVar = {"GET": Permission.ENCRYPTION_KEY_READ, "POST": Permission.ENCRYPTION_KEY_WRITE}

    @extend_schema(responses=ReEncryptionSerializer)
    def get(self, request: Request) -> Response:
        with self.scope():
            return Response(show_re_encryption(reencryption.latest()))

    @extend_schema(request=None, responses={202: ReEncryptionSerializer})
    def post(self, request: Request) -> Response:
        with self.scope():
            return Response(show_re_encryption(reencryption.start()), status=202)


class ReEncryptionCancellationView(KeyEndpoint):
    """Stop the re-encryption that runs."""

    permission = Permission.ENCRYPTION_KEY_WRITE

    @extend_schema(request=None, responses={200: ReEncryptionSerializer})
    def post(self, request: Request) -> Response:
        with self.scope():
            return Response(show_re_encryption(reencryption.cancel()))


class ReEncryptionResumptionView(KeyEndpoint):
    """Go on with the re-encryption that was cancelled."""

    permission = Permission.ENCRYPTION_KEY_WRITE

    @extend_schema(request=None, responses={202: ReEncryptionSerializer})
    def post(self, request: Request) -> Response:
        with self.scope():
            return Response(show_re_encryption(reencryption.resume()), status=202)


def show_key(organization_id: UUID) -> dict[str, Any]:
    """The organization's key, without its bytes. Asks no provider."""
    with acting_for(organization_id):
        own_key = OwnKey.objects.first()
        job = ReEncryption.objects.order_by("-pk").first()
        newest = keys.newest(organization_id, keys.CONTENT)
        older = keys.older_keys(organization_id).count()
    return {
        "object": "encryption_key",
        "version": newest.version if newest else 0,
        "created_at": newest.created_at if newest else None,
        "older_versions": older,
        "values_under_older_versions": work.values_under_older_keys(organization_id),
        "external_id": str(organization_id),
        "own_key": show_own_key(own_key) if own_key else None,
        "re_encryption": show_re_encryption(job) if job else None,
    }


def show_own_key(own_key: OwnKey) -> dict[str, Any]:
    """A key that the organization keeps itself."""
    return {
        "provider": own_key.provider,
        "key": own_key.key,
        "role": own_key.role or None,
        "address": own_key.address or None,
        "mount": own_key.mount or None,
        "namespace": own_key.namespace or None,
        "answered_at": own_key.answered_at,
        "refused_at": own_key.refused_at,
    }


def show_re_encryption(job: ReEncryption) -> dict[str, Any]:
    """How far a re-encryption is."""
    return {
        "state": job.state,
        "passes": job.passes,
        "seen": job.seen,
        "moved": job.moved,
        "left_in_pass": job.left_in_pass,
        "unreadable": job.unreadable,
        "created_at": job.created_at,
        "finished_at": job.finished_at,
    }
