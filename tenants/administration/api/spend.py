"""REST: spend limits and spend alerts, of the organization and of its projects, as OpenAI's API has them."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kernel import ids
from kernel.api.strict import StrictSerializer
from kernel.errors import NotFound
from tenants.access.endpoint import Endpoint, OrganizationEndpoint, ProjectEndpoint
from tenants.access.permissions import Permission
from tenants.administration.api.cursors import Cut, cut_rows, ids_shape
from tenants.limits.kinds import MAX_VALUE, Kind, Scope, Subject
from tenants.limits.models import Limit, SpendAlert
from tenants.limits.services import alerts, uses
from tenants.limits.services.bounds import limit_on, remove_limit, set_limit

KIND = Kind.SPEND_MICROUNITS_PER_MONTH
MICROUNITS_PER_CENT = 10_000
MAX_CENTS = MAX_VALUE // MICROUNITS_PER_CENT
CUT = Cut(orderable=True)
READS_AND_WRITES: dict[str, Permission] = {
    "GET": Permission.LIMIT_READ,
    "POST": Permission.LIMIT_WRITE,
    "DELETE": Permission.LIMIT_WRITE,
}


class MoneyPerMonthSerializer(StrictSerializer):
    """An amount in cents, by the month."""

    threshold_amount = serializers.IntegerField(min_value=1, max_value=MAX_CENTS)
    currency = serializers.ChoiceField(choices=["USD"])
    interval = serializers.ChoiceField(choices=["month"])


class EnforcementSerializer(serializers.Serializer[Any]):
    """Whether the limit stops requests now."""

    status = serializers.ChoiceField(choices=["inactive", "enforcing"])


class SpendLimitSerializer(serializers.Serializer[Any]):
    """A hard limit of what a month may cost."""

    object = serializers.CharField()
    threshold_amount = serializers.IntegerField()
    currency = serializers.CharField()
    interval = serializers.CharField()
    enforcement = EnforcementSerializer()


class SpendLimitDeletedSerializer(serializers.Serializer[Any]):
    """That there is none any more."""

    object = serializers.CharField()
    deleted = serializers.BooleanField()


class ChannelSerializer(StrictSerializer):
    """Who is told, by e-mail."""

    type = serializers.ChoiceField(choices=["email"])
    recipients = serializers.ListField(child=serializers.CharField(max_length=254))
    subject_prefix = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, max_length=alerts.MAX_PREFIX_CHARACTERS
    )


class SpendAlertRequestSerializer(StrictSerializer):
    """When to tell whom."""

    threshold_amount = serializers.IntegerField(min_value=0, max_value=MAX_CENTS)
    currency = serializers.ChoiceField(choices=["USD"])
    interval = serializers.ChoiceField(choices=["month"])
    notification_channel = ChannelSerializer()


class SpendAlertSerializer(serializers.Serializer[Any]):
    """A spend alert."""

    id = serializers.CharField()
    object = serializers.CharField()
    threshold_amount = serializers.IntegerField()
    currency = serializers.CharField()
    interval = serializers.CharField()
    notification_channel = ChannelSerializer()


class SpendAlertDeletedSerializer(SpendLimitDeletedSerializer):
    """That an alert is no more."""

    id = serializers.CharField()


class _OfSomething(Endpoint):
    """What is the same for the organization and for a project: `kind` is the word in the objects' names."""

    permission: ClassVar = READS_AND_WRITES
    kind: ClassVar[str]

    def project_pk(self) -> UUID | None:
        """The project, or None for the organization."""
        raise NotImplementedError

    @property
    def subject(self) -> Subject:
        """Whose spend it is."""
        project_id = self.project_pk()
        return Subject(Scope.PROJECT, project_id) if project_id else Subject(Scope.ORGANIZATION)


class _SpendLimit(_OfSomething):
    """A spend limit."""

    @extend_schema(responses=SpendLimitSerializer)
    def get(self, request: Request, project_id: str = "") -> Response:
        return Response(self._show(self._found()))

    @extend_schema(request=MoneyPerMonthSerializer, responses={200: SpendLimitSerializer})
    def post(self, request: Request, project_id: str = "") -> Response:
        body = MoneyPerMonthSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        microunits = body.validated_data["threshold_amount"] * MICROUNITS_PER_CENT
        return Response(self._show(set_limit(self.subject, KIND, microunits)))

    @extend_schema(responses={200: SpendLimitDeletedSerializer})
    def delete(self, request: Request, project_id: str = "") -> Response:
        remove_limit(self._found())
        return Response({"object": f"{self.kind}.spend_limit.deleted", "deleted": True})

    def _found(self) -> Limit:
        found = limit_on(self.subject, KIND)
        if found is None:
            raise NotFound("There is no spend limit.")
        return found

    def _show(self, limit: Limit) -> dict[str, Any]:
        reached = uses.used(KIND, self.subject) >= limit.value
        return {
            "object": f"{self.kind}.spend_limit",
            "threshold_amount": -(-limit.value // MICROUNITS_PER_CENT),
            "currency": "USD",
            "interval": "month",
            "enforcement": {"status": "enforcing" if reached else "inactive"},
        }


class _SpendAlerts(_OfSomething):
    """Spend alerts."""

    @extend_schema(parameters=CUT.parameters, responses=ids_shape("SpendAlertPage", SpendAlertSerializer))
    def get(self, request: Request, project_id: str = "") -> Response:
        rows = alerts.alerts_of(self.project_pk())
        found = cut_rows(rows, request.query_params, CUT, prefix="alert", show=self._show_all)
        return Response(found.by_ids())

    @extend_schema(request=SpendAlertRequestSerializer, responses={200: SpendAlertSerializer})
    def post(self, request: Request, project_id: str = "") -> Response:
        return Response(show_alert(alerts.create_alert(_wish(request), self.project_pk()), self.kind))

    def _show_all(self, found: list[SpendAlert]) -> list[dict[str, Any]]:
        return [show_alert(alert, self.kind) for alert in found]


class _SpendAlert(_OfSomething):
    """One spend alert."""

    @extend_schema(responses=SpendAlertSerializer)
    def get(self, request: Request, alert_id: str, project_id: str = "") -> Response:
        return Response(show_alert(self._found(alert_id), self.kind))

    @extend_schema(request=SpendAlertRequestSerializer, responses={200: SpendAlertSerializer})
    def post(self, request: Request, alert_id: str, project_id: str = "") -> Response:
        return Response(show_alert(alerts.change_alert(self._found(alert_id), _wish(request)), self.kind))

    @extend_schema(responses={200: SpendAlertDeletedSerializer})
    def delete(self, request: Request, alert_id: str, project_id: str = "") -> Response:
        alerts.delete_alert(self._found(alert_id))
        return Response({"id": alert_id, "object": f"{self.kind}.spend_alert.deleted", "deleted": True})

    def _found(self, alert_id: str) -> SpendAlert:
        return alerts.find_alert(ids.parse("alert", alert_id, param="alert_id"), self.project_pk())


class _OfTheOrganization(OrganizationEndpoint):
    kind = "organization"

    def project_pk(self) -> UUID | None:
        """None: the whole organization."""
        return None


class _OfAProject(ProjectEndpoint):
    kind = "project"

    def project_pk(self) -> UUID | None:
        """The project that the address names."""
        return UUID(str(self.project.pk))


class SpendLimitView(_OfTheOrganization, _SpendLimit):
    """The organization's spend limit."""


class ProjectSpendLimitView(_OfAProject, _SpendLimit):
    """A project's spend limit."""


class SpendAlertsView(_OfTheOrganization, _SpendAlerts):
    """The organization's spend alerts."""


class ProjectSpendAlertsView(_OfAProject, _SpendAlerts):
    """A project's spend alerts."""


class SpendAlertView(_OfTheOrganization, _SpendAlert):
    """One of the organization's spend alerts."""


class ProjectSpendAlertView(_OfAProject, _SpendAlert):
    """One of a project's spend alerts."""


def show_alert(alert: SpendAlert, kind: str) -> dict[str, Any]:
    """An alert as OpenAI's API shows it."""
    return {
        "id": alert.public_id,
        "object": f"{kind}.spend_alert",
        "threshold_amount": alert.threshold_microunits // MICROUNITS_PER_CENT,
        "currency": "USD",
        "interval": "month",
        "notification_channel": {
            "type": "email",
            "recipients": alert.recipients,
            "subject_prefix": alert.subject_prefix or None,
        },
    }


def _wish(request: Request) -> alerts.AlertWish:
    body = SpendAlertRequestSerializer(data=request.data)
    body.is_valid(raise_exception=True)
    channel = body.validated_data["notification_channel"]
    return alerts.AlertWish(
        threshold_microunits=body.validated_data["threshold_amount"] * MICROUNITS_PER_CENT,
        recipients=tuple(channel["recipients"]),
        subject_prefix=channel.get("subject_prefix") or "",
    )
