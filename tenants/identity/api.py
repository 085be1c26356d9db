"""REST: the signed-in person's own account, their factors and sessions."""

from typing import Any, ClassVar

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.utils import translation
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kernel import ids
from kernel.api.strict import StrictSerializer
from kernel.errors import NotFound, PermissionDenied
from tenants.access.endpoint import Endpoint, OrganizationEndpoint
from tenants.access.models import Member, User
from tenants.access.permissions import Permission
from tenants.identity.services import profile, sessions

LANGUAGES = [code for code, _ in settings.LANGUAGES]
FACTOR_TYPES = [kind.value for kind in Authenticator.Type]


class FactorSerializer(serializers.Serializer[Any]):
    """A second factor that the person has set up."""

    type = serializers.ChoiceField(choices=FACTOR_TYPES)
    name = serializers.CharField()
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)


class AccountSerializer(serializers.Serializer[Any]):
    """The signed-in person, as they manage themselves."""

    id = serializers.CharField()
    email = serializers.CharField()
    name = serializers.CharField()
    language = serializers.ChoiceField(choices=LANGUAGES)
    has_password = serializers.BooleanField()
    factors = FactorSerializer(many=True)
    recovery_codes_left = serializers.IntegerField()


class AccountChangeSerializer(StrictSerializer):
    """What a person may change of themselves here; the rest has pages under `/accounts`."""

    name = serializers.CharField(required=False, allow_blank=True, max_length=profile.MAX_NAME_CHARACTERS)
    language = serializers.ChoiceField(required=False, choices=LANGUAGES)


class SignedInSessionSerializer(serializers.Serializer[Any]):
    """A place at which the person is signed in."""

    id = serializers.CharField()
    device = serializers.CharField()
    address = serializers.CharField()
    created_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField()
    is_current = serializers.BooleanField()


class SignedInSessionsSerializer(serializers.Serializer[Any]):
    """Every place at which the person is signed in, this one first."""

    data = SignedInSessionSerializer(many=True)  # type: ignore[assignment]


class AccountEndpoint(Endpoint):
    """An address of the signed-in person's own; keys have no account."""

    permission: ClassVar = Permission.ACCOUNT_USE
    open_without_factor = True

    @property
    def person(self) -> User:
        """The signed-in person."""
        user = self.request.user
        if not isinstance(user, User):
            raise PermissionDenied("An API key has no account: sign in in the browser.")
        return user


class AccountView(AccountEndpoint):
    """Who one is."""

    @extend_schema(responses=AccountSerializer)
    def get(self, request: Request) -> Response:
        return Response(_show_account(self.person, _language_of(request)))

    @extend_schema(request=AccountChangeSerializer, responses=AccountSerializer)
    def patch(self, request: Request) -> Response:
        change = AccountChangeSerializer(data=request.data)
        change.is_valid(raise_exception=True)
        wanted = change.validated_data
        person = self.person
        if "name" in wanted:
            person = profile.rename(person, wanted["name"])
        language = wanted.get("language", _language_of(request))
        response = Response(_show_account(person, language))
        if "language" in wanted:
            _remember(response, language)
        return response


class AccountSessionsView(AccountEndpoint):
    """Where one is signed in."""

    @extend_schema(responses=SignedInSessionsSerializer)
    def get(self, request: Request) -> Response:
        found = sessions.sessions_of(self.person, request._request.session.session_key)
        return Response({"data": [vars(seen) for seen in found]})

    @extend_schema(responses={204: None})
    def delete(self, request: Request) -> Response:
        """End every session but this one."""
        sessions.end_other_sessions(request._request, self.person)
        return Response(status=204)


class AccountSessionView(AccountEndpoint):
    """One place at which one is signed in."""

    @extend_schema(responses={204: None})
    def delete(self, request: Request, session_id: str) -> Response:
        sessions.end_session(request._request, self.person, session_id)
        return Response(status=204)


class MemberSessionsView(OrganizationEndpoint):
    """Where a member is signed in: an administrator can end it all, and see nothing of it."""

    permission = Permission.MEMBER_WRITE

    @extend_schema(responses={204: None})
    def delete(self, request: Request, user_id: str) -> Response:
        wanted = ids.parse("user", user_id, param="user_id")
        member = Member.objects.filter(user_id=wanted).select_related("user").first()
        if member is None:
            raise NotFound(f"There is no member '{user_id}'.", param="user_id")
        sessions.end_sessions_of_member(member)
        return Response(status=204)


def _show_account(person: User, language: str) -> dict[str, Any]:
    factors = profile.factors_of(person)
    return {
        "id": person.public_id,
        "email": person.email,
        "name": person.name,
        "language": language,
        "has_password": person.has_usable_password(),
        "factors": [vars(factor) for factor in factors],
        "recovery_codes_left": profile.recovery_codes_left(person),
    }


def _language_of(request: Request) -> str:
    return translation.get_language_from_request(request._request)


def _remember(response: Response, language: str) -> None:
    """Keep the language in this browser; a person may well use another elsewhere."""
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=profile.LANGUAGE_REMEMBERED_SECONDS,
        secure=settings.LANGUAGE_COOKIE_SECURE,
        samesite="Lax",
    )
