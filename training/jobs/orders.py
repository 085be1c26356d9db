"""What a person asks for when they start a job: OpenAI's request body, checked to the last field."""

import re
from dataclasses import dataclass
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from rest_framework import serializers

from training.jobs.errors import IntegrationUnsupported, MethodUnsupported, UnknownParameter

AUTO = "auto"
SUFFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
MAX_SUFFIX_CHARACTERS = 64
MAX_METADATA_PAIRS = 16
MAX_SEED = 2**31 - 1
SUPERVISED = "supervised"


@dataclass(frozen=True)
class JobOrder:
    """A job as it was asked for. `hyperparameters` maps each name to a number or "auto"."""

    model: str
    training_file: str
    validation_file: str | None
    hyperparameters: dict[str, int | float | str]
    suffix: str
    seed: int | None
    metadata: dict[str, str]


class NumberOrAuto(serializers.Field[Any, Any, Any, Any]):
    """A number in a range, or the word "auto"."""

    def __init__(self, low: float, high: float, *, whole: bool) -> None:
        super().__init__(required=False, default=AUTO)
        self.low, self.high, self.whole = low, high, whole

    def to_internal_value(self, data: Any) -> int | float | str:
        if data == AUTO:
            return AUTO
        fits = isinstance(data, int) or (isinstance(data, float) and not self.whole)
        if isinstance(data, bool) or not fits or not self.low <= data <= self.high:
            noun = "whole number" if self.whole else "number"
            raise serializers.ValidationError(
                f"must be 'auto' or a {noun} from {self.low:g} to {self.high:g}."
            )
        number: int | float = data
        return number

    def to_representation(self, value: Any) -> Any:
        return value


class NumberOrAutoDescription(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """What the API's description says of a number that may be left to the platform."""

    target_class = NumberOrAuto

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        field: NumberOrAuto = self.target
        number = {"type": "integer" if field.whole else "number", "minimum": field.low, "maximum": field.high}
        return {"oneOf": [number, {"type": "string", "enum": [AUTO]}]}


class HyperparametersSerializer(serializers.Serializer[Any]):
    """OpenAI's three; the learning rate is a multiple of the platform's own choice."""

    n_epochs = NumberOrAuto(1, 50, whole=True)
    batch_size = NumberOrAuto(1, 256, whole=True)
    learning_rate_multiplier = NumberOrAuto(0.0001, 100, whole=False)


class SupervisedSerializer(serializers.Serializer[Any]):
    """Options of supervised fine-tuning."""

    hyperparameters = HyperparametersSerializer(required=False)


class MethodSerializer(serializers.Serializer[Any]):
    """How to fine-tune."""

    type = serializers.CharField()
    supervised = SupervisedSerializer(required=False)


class JobRequestSerializer(serializers.Serializer[Any]):
    """OpenAI's request to create a fine-tuning job."""

    model = serializers.CharField(max_length=250)
    training_file = serializers.CharField(max_length=100)
    validation_file = serializers.CharField(max_length=100, required=False, allow_null=True)
    hyperparameters = HyperparametersSerializer(required=False, allow_null=True)
    method = MethodSerializer(required=False, allow_null=True)
    suffix = serializers.CharField(max_length=MAX_SUFFIX_CHARACTERS, required=False, allow_null=True)
    seed = serializers.IntegerField(min_value=0, max_value=MAX_SEED, required=False, allow_null=True)
    metadata = serializers.DictField(
        child=serializers.CharField(max_length=512, allow_blank=True), required=False, allow_null=True
    )
    integrations = serializers.ListField(
        child=serializers.DictField(), max_length=5, required=False, allow_null=True
    )

    def validate_suffix(self, suffix: str | None) -> str | None:
        if suffix is not None and not SUFFIX.fullmatch(suffix):
            raise serializers.ValidationError(
                "may have letters, digits, '-', '_' and '.', and begins with a letter or digit."
            )
        return suffix

    def validate_metadata(self, metadata: dict[str, str] | None) -> dict[str, str] | None:
        if metadata and (len(metadata) > MAX_METADATA_PAIRS or max(map(len, metadata)) > 64):
            raise serializers.ValidationError("may have up to 16 pairs, with keys of up to 64 characters.")
        return metadata


def read_order(body: Any) -> JobOrder:
    """The order in a request's body. Raises `InvalidRequest` (400) that names the parameter at fault."""
    _refuse_unknown(body)
    _refuse_unsupported(body)
    request = JobRequestSerializer(data=body)
    request.is_valid(raise_exception=True)
    asked = request.validated_data
    method = asked.get("method") or {}
    nested = method.get(SUPERVISED, {}).get("hyperparameters")
    chosen = nested if nested is not None else asked.get("hyperparameters")
    return JobOrder(
        model=asked["model"],
        training_file=asked["training_file"],
        validation_file=asked.get("validation_file"),
        hyperparameters=dict(chosen or dict.fromkeys(HyperparametersSerializer().fields, AUTO)),
        suffix=asked.get("suffix") or "",
        seed=asked.get("seed"),
        metadata=asked.get("metadata") or {},
    )


def _refuse_unknown(body: Any) -> None:
    known: dict[str, set[str]] = {
        "": set(JobRequestSerializer().fields),
        "hyperparameters": set(HyperparametersSerializer().fields),
        "method": {*MethodSerializer().fields, "dpo", "reinforcement"},
        "method.supervised": set(SupervisedSerializer().fields),
        "method.supervised.hyperparameters": set(HyperparametersSerializer().fields),
    }
    for path, names in known.items():
        part = _at(body, path)
        for name in part if isinstance(part, dict) else ():
            if name not in names:
                full = f"{path}.{name}".strip(".")[:200]
                raise UnknownParameter(f"Unrecognized request argument supplied: {full}", param=full)


def _refuse_unsupported(body: Any) -> None:
    kind = _at(body, "method.type")
    if kind is not None and kind != SUPERVISED:
        raise MethodUnsupported(
            f"The method {str(kind)[:40]!r} is not offered here; use 'supervised'.", param="method.type"
        )
    if _at(body, "integrations"):
        raise IntegrationUnsupported(
            "Integrations are not offered: training has no way to the outside. Leave the list empty, and "
            "read the job's metrics from this API.",
            param="integrations",
        )


def _at(body: Any, path: str) -> Any:
    for name in path.split(".") if path else ():
        body = body.get(name) if isinstance(body, dict) else None
    return body
