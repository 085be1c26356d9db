"""Bad input, the same at every door: no stack trace, a stable code, nothing written."""

import json
from typing import Any

import pytest
from rest_framework import serializers

from kernel.api.errors import as_domain_error
from kernel.api.parsers import MAX_BODY_BYTES, MAX_DEPTH, ForbiddenCharacter, InvalidJson, read_object
from kernel.api.strict import StrictSerializer
from kernel.audit.models import AuditEntry
from kernel.errors import InvalidRequest
from kernel.events.models import OutboxEvent
from tenants.access.permissions import Role
from tests.cast import Person, new_person

JSON = "application/json"
DOORS = [
    ("POST", "/api/v1/api-keys"),
    ("POST", "/api/v1/conversations"),
    ("PUT", "/api/v1/session"),
    ("POST", "/v1/fine_tuning/jobs"),
]
DEEP = b'{"name":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1)
BODIES: dict[str, tuple[bytes, int, str]] = {
    "no JSON": (b"name=x", 400, "invalid_json"),
    "a torn object": (b'{"name": "x"', 400, "invalid_json"),
    "no object": (b'["name"]', 400, "invalid_json"),
    "a null": (b"null", 400, "invalid_json"),
    "ten megabytes": (b'{"name":"' + b"x" * 10_000_000 + b'"}', 413, "payload_too_large"),
    "a byte too many": (b'{"name":"' + b"x" * (MAX_BODY_BYTES - 10) + b'"}', 413, "payload_too_large"),
    "deep nesting": (DEEP, 400, "invalid_json"),
    "very deep nesting": (b"[" * 100_000, 400, "invalid_json"),
    "a key twice": (b'{"name":"x","name":"y"}', 400, "invalid_json"),
    "NaN": (b'{"name":NaN}', 400, "invalid_json"),
    "Infinity": (b'{"name":-Infinity}', 400, "invalid_json"),
    "an infinite float": (b'{"name":1e999}', 400, "invalid_json"),
    "a number of many digits": (b'{"name":' + b"9" * 5000 + b"}", 400, "invalid_json"),
    "a number past 64 bits": (b'{"name":9223372036854775808}', 400, "invalid_json"),
    "bad UTF-8": (b'{"name":"\xff"}', 400, "invalid_json"),
    "UTF-16": ('{"name":"x"}'.encode("utf-16"), 400, "invalid_json"),
    "a NUL": (b'{"name":"a\\u0000b"}', 400, "invalid_characters"),
    "a NUL in a key": (b'{"na\\u0000me":"x"}', 400, "invalid_characters"),
    "half a surrogate pair": (b'{"name":"\\ud800"}', 400, "invalid_characters"),
}


def written(person: Person) -> tuple[int, int]:
    with person.acting():
        return AuditEntry.objects.count(), OutboxEvent.objects.count()


def send(person: Person, door: tuple[str, str], body: bytes, content_type: str = JSON) -> Any:
    return person.browser.generic(door[0], door[1], body, content_type)


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door[1])
def test_a_bad_body_is_refused_with_its_code_and_nothing_is_written(
    owner: Person, door: tuple[str, str]
) -> None:
    before = written(owner)
    for name, (body, status, code) in BODIES.items():
        answer = send(owner, door, body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), name
    assert written(owner) == before


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door[1])
@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "junk"])
def test_a_body_of_another_type_or_of_none_is_refused(
    owner: Person, door: tuple[str, str], content_type: str
) -> None:
    answer = send(owner, door, b'{"name":"x","model":"m"}', content_type)
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_media_type")
    if not content_type:
        assert "Content-Type" in answer.json()["error"]["message"]


def test_a_body_in_chunks_without_a_length_is_refused(owner: Person) -> None:
    answer = owner.browser.post(
        "/api/v1/api-keys", b"", JSON, headers={"Transfer-Encoding": "chunked", "Content-Length": ""}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (411, "length_required")


def test_the_place_of_a_nul_is_named(owner: Person) -> None:
    body = json.dumps({"name": "x", "extra": {"list": ["fine", "a\0b"]}}).encode()
    assert send(owner, DOORS[0], body).json()["error"]["param"] == "extra.list.1"


@pytest.mark.parametrize(
    "address",
    [
        "/api/v1/api-keys?after=a%00b",
        "/api/v1/api-keys?%00=b",
        "/api/v1/files/file-%00/validation",
        "/v1/files?purpose=%00",
    ],
)
def test_a_nul_in_an_address_is_refused(owner: Person, address: str) -> None:
    answer = owner.browser.get(address)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_characters")


def test_a_nul_in_an_address_that_is_denied_is_refused_before_the_denial_is_written(owner: Person) -> None:
    nobody = new_person(Role.END_USER, joining=owner)
    answer = nobody.browser.get("/api/v1/files/file-%00/validation")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_characters")


def test_a_query_parameter_that_is_not_described_is_refused_on_our_own_addresses(owner: Person) -> None:
    assert owner.browser.get("/api/v1/api-keys?limit=5&order=asc").status_code == 200
    for address in ("/api/v1/api-keys?limits=5", "/api/v1/session?debug=1", "/api/v1/dataset-versions?x"):
        answer = owner.browser.get(address)
        assert answer.status_code == 400, address
        assert answer.json()["error"]["code"] == "unknown_parameter"
        assert answer.json()["error"]["param"] in {"limits", "debug", "x"}
    assert owner.browser.get("/v1/files?comes_with_time=1").status_code == 200


class Inner(StrictSerializer):
    flag = serializers.BooleanField()


class Body(StrictSerializer):
    name = serializers.CharField()
    count = serializers.IntegerField(required=False)
    share = serializers.FloatField(required=False)
    inner = Inner(required=False)
    words = serializers.ListField(child=serializers.CharField(), required=False)
    made_by = serializers.CharField(read_only=True)


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"name": "x", "nam": 1}, "nam", "unknown_parameter"),
        ({"name": "x", "made_by": "me"}, "made_by", "unknown_parameter"),
        ({"name": "x", "inner": {"flag": True, "flog": 1}}, "inner.flog", "unknown_parameter"),
        ({"name": 1}, "name", "invalid_type"),
        ({"name": True}, "name", "invalid_type"),
        ({"name": "x", "count": "1"}, "count", "invalid_type"),
        ({"name": "x", "count": 1.5}, "count", "invalid_type"),
        ({"name": "x", "count": True}, "count", "invalid_type"),
        ({"name": "x", "share": "0.5"}, "share", "invalid_type"),
        ({"name": "x", "inner": {"flag": "yes"}}, "inner.flag", "invalid_type"),
        ({"name": "x", "inner": {"flag": 1}}, "inner.flag", "invalid_type"),
        ({"name": "x", "words": "abc"}, "words", "invalid_type"),
        ({"name": "x", "words": ["a", 1]}, "words", "invalid_type"),
        ({}, "name", "invalid_request"),
        ({"name": None}, "name", "invalid_request"),
        ({"name": "x", "inner": 5}, "inner", "invalid_request"),
    ],
)
def test_a_strict_body_names_the_parameter_at_fault(body: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(serializers.ValidationError) as raised:
        Body(data=body).is_valid(raise_exception=True)
    fault = as_domain_error(raised.value)
    assert isinstance(fault, InvalidRequest)
    assert (fault.param, fault.code) == (param, code)


def test_a_strict_body_takes_what_fits() -> None:
    body = Body(data={"name": "x", "count": 0, "share": 1, "inner": {"flag": False}, "words": ["a"]})
    assert body.is_valid()
    assert body.validated_data["inner"] == {"flag": False}
    assert Body(data={"name": "x", "count": 1}).is_valid()


def test_json_of_64_levels_is_read_and_of_65_is_not() -> None:
    def nested(levels: int) -> bytes:
        return b'{"a":' * levels + b"1" + b"}" * levels

    assert read_object(nested(MAX_DEPTH))
    with pytest.raises(InvalidJson, match="64 levels"):
        read_object(nested(MAX_DEPTH + 1))


def test_text_of_every_script_is_read_as_it_is() -> None:
    text = "Grüße, 日本語, 😀, \u200d, \u202e"
    assert read_object(json.dumps({"a": text}).encode()) == {"a": text}
    assert read_object(json.dumps({"a": text}, ensure_ascii=False).encode()) == {"a": text}
    with pytest.raises(ForbiddenCharacter):
        read_object(b'{"a":{"\\udfff":1}}')
