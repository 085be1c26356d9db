"""Bodies taken at their word: no unknown field, and no value turned into another type."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

UNKNOWN = "unknown_parameter"
WRONG_TYPE = "invalid_type"
# Codes of single faults that a caller's program may want to tell apart.
TOLD_CODES = frozenset({UNKNOWN, WRONG_TYPE})


class StrictSerializer(serializers.Serializer[Any]):
    """The base of what a JSON body is read with.

    A field that is not declared is refused (`unknown_parameter`), and so is a value of another JSON type
    than the field's (`invalid_type`), which plain serializers would convert: 1 to "1", "yes" to true.
    """

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            readable = {name for name, field in self.fields.items() if not field.read_only}
            faults = {
                str(name): [ErrorDetail("This parameter is not known.", code=UNKNOWN)]
                for name in data
                if name not in readable
            }
            for name in readable & data.keys():
                expected = _mismatch(self.fields[name], data[name])
                if expected is not None:
                    faults[name] = [ErrorDetail(f"This must be {expected}.", code=WRONG_TYPE)]
            if faults:
                raise serializers.ValidationError(faults)
        return super().to_internal_value(data)


def _mismatch(field: Any, value: Any) -> str | None:
    """What the value should have been, or None where it fits (the field itself judges the rest)."""
    if value is None:
        return None
    if isinstance(field, serializers.ListField):
        return "an array" if not isinstance(value, list) else _first_mismatch(field.child, value)
    if isinstance(field, serializers.DictField):
        return "an object" if not isinstance(value, dict) else _first_mismatch(field.child, value.values())
    for kind, types, expected in _EXPECTED:
        if isinstance(field, kind):
            fits = isinstance(value, types) and (kind is serializers.BooleanField or value is not bool(value))
            return None if fits else expected
    return None


def _first_mismatch(child: Any, values: Any) -> str | None:
    found = next((wrong for wrong in (_mismatch(child, value) for value in values) if wrong), None)
    return f"made of values each of which is {found}" if found else None


_TEXT = (
    serializers.CharField,
    serializers.DateTimeField,
    serializers.DateField,
    serializers.UUIDField,
    serializers.IPAddressField,
)
_EXPECTED: tuple[tuple[Any, Any, str], ...] = (
    (serializers.BooleanField, bool, "true or false"),
    (serializers.IntegerField, int, "a whole number"),
    (serializers.FloatField, (int, float), "a number"),
    *((kind, str, "a string") for kind in _TEXT),
)
