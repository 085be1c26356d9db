"""REST: policies of deployments."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from inference.deployments.api import find_deployment
from inference.deployments.models import Deployment
from inference.deployments.policies import policy_of, set_policy
from inference.gateway.policy.document import ACTIONS, ATTACK_ACTIONS
from inference.gateway.policy.pii import KINDS
from tenants.access.object_endpoint import ObjectEndpoint
from tenants.access.permissions import Permission


class ParameterBoundsSerializer(serializers.Serializer[Any]):
    """What callers may set a parameter to."""

    allowed = serializers.BooleanField(required=False)
    minimum = serializers.FloatField(required=False)
    maximum = serializers.FloatField(required=False)


class PersonalDataSerializer(serializers.Serializer[Any]):
    """What happens to personal data in prompts and in answers."""

    kinds = serializers.ListField(child=serializers.ChoiceField(choices=KINDS), required=False)
    prompt = serializers.ChoiceField(choices=ACTIONS, required=False)
    answer = serializers.ChoiceField(choices=ACTIONS, required=False)


class DeniedWordsSerializer(serializers.Serializer[Any]):
    """What happens to words of a list in prompts and in answers."""

    words = serializers.ListField(child=serializers.CharField())
    prompt = serializers.ChoiceField(choices=ACTIONS, required=False)
    answer = serializers.ChoiceField(choices=ACTIONS, required=False)


class PinnedPromptSerializer(serializers.Serializer[Any]):
    """The version of a prompt template with which every answer begins."""

    id = serializers.CharField()
    version = serializers.IntegerField(min_value=1)


class PolicySerializer(serializers.Serializer[Any]):
    """A policy: each part is optional, and what is absent lets everything pass."""

    system_prompt = serializers.CharField(required=False)
    max_answer_tokens = serializers.IntegerField(required=False, min_value=1)
    parameters = serializers.DictField(child=ParameterBoundsSerializer(), required=False)
    pii = PersonalDataSerializer(required=False)
    denied_words = DeniedWordsSerializer(required=False)
    prompt_attacks = serializers.ChoiceField(choices=ATTACK_ACTIONS, required=False)
    output_schema = serializers.DictField(required=False)
    prompt = PinnedPromptSerializer(required=False)


class DeploymentPolicySerializer(serializers.Serializer[Any]):
    """A deployment's policy; `digest` names it, and is null where there is none."""

    object = serializers.CharField()
    deployment_id = serializers.CharField()
    digest = serializers.CharField(allow_null=True)
    policy = PolicySerializer()
    updated_at = serializers.DateTimeField(allow_null=True)


class DeploymentPolicyView(ObjectEndpoint):
    """What a deployment lets pass. It is shown to those who may change it: its texts are for the model."""

    permission = Permission.DEPLOYMENT_WRITE

    @extend_schema(responses=DeploymentPolicySerializer)
    def get(self, request: Request, deployment_id: str) -> Response:
        return Response(_show(find_deployment(self, deployment_id)))

    @extend_schema(request=PolicySerializer, responses={200: DeploymentPolicySerializer})
    def put(self, request: Request, deployment_id: str) -> Response:
        deployment = find_deployment(self, deployment_id)
        # The gateway's own reader judges it, with the names of the places at fault.
        set_policy(deployment, request.data)
        return Response(_show(deployment))


def _show(deployment: Deployment) -> dict[str, Any]:
    policy = policy_of(deployment)
    return {
        "object": "deployment.policy",
        "deployment_id": deployment.public_id,
        "digest": policy.digest or None,
        "policy": policy.document,
        "updated_at": policy.updated_at,
    }
