"""OpenAI's usage API with the official client, against the published schema."""

from typing import Any
from uuid import uuid4

import pytest
import redis
from django.db import connection
from django.test.utils import CaptureQueriesContext

from kernel import ids
from tenants.access.models import ApiKey
from tenants.access.permissions import MATRIX, Permission, Role
from tenants.organizations.services.projects import start_project
from tests.cast import Person, new_person
from tests.inference.usage.house import DAY, HOUR, MINUTE, THEN, sent, used
from tests.tenants.administration.offices import admin_client, call, refused
from tests.tenants.administration.published import conforms

USAGE = "/v1/organization/usage"
COMPLETIONS = f"{USAGE}/completions"
KINDS = (
    "completions",
    "embeddings",
    "moderations",
    "images",
    "audio_speeches",
    "audio_transcriptions",
    "vector_stores",
    "code_interpreter_sessions",
    "file_search_calls",
    "web_search_calls",
)
MIDNIGHT = THEN - THEN % DAY


def page(person: Person, query: str, address: str = COMPLETIONS) -> dict[str, Any]:
    """A page of the usage API, which must be what is published."""
    answer = person.browser.get(f"{address}?{query}")
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return dict(conforms("UsageResponse", found))


def results(person: Person, query: str = "", address: str = COMPLETIONS) -> list[dict[str, Any]]:
    """All results of three days."""
    found = page(person, f"start_time={MIDNIGHT}&end_time={MIDNIGHT + 3 * DAY}&{query}", address)
    return [result for bucket in found["data"] for result in bucket["results"]]


def test_the_official_client_reads_usage_by_day(owner: Person, valkey: redis.Redis) -> None:
    used(valkey, *(sent(owner, started_at=THEN + later) for later in (0, 1, DAY)))
    client = admin_client(owner)
    usage = client.admin.organization.usage.completions(start_time=MIDNIGHT, end_time=MIDNIGHT + 3 * DAY)
    assert [bucket.start_time for bucket in usage.data] == [MIDNIGHT + day * DAY for day in range(3)]
    counts = [
        [(one.num_model_requests, one.input_tokens, one.output_tokens) for one in bucket.results]
        for bucket in usage.data
        if all(one.object == "organization.usage.completions.result" for one in bucket.results)
    ]
    assert counts == [[(2, 24, 68)], [(1, 12, 34)], []]
    assert (usage.has_more, usage.next_page) == (False, None)


def test_the_official_client_groups_and_filters(owner: Person, valkey: redis.Redis) -> None:
    with owner.acting():
        key = ApiKey.objects.get()
        other = start_project("Another")
    used(
        valkey,
        sent(owner, key_id=str(key.pk), model="a"),
        sent(owner, key_id=None, user_id=str(owner.user.pk), model="b", surface="chat"),
        sent(owner, project_id=str(other.pk), model="b", batch=True),
    )
    usage = admin_client(owner).admin.organization.usage
    window: Any = {"start_time": MIDNIGHT, "end_time": MIDNIGHT + DAY}

    def asked(**query: Any) -> list[Any]:
        [bucket] = usage.completions(**window, **query).data
        return list(bucket.results)

    assert {(one.model, one.num_model_requests) for one in asked(group_by=["model"])} == {("a", 1), ("b", 2)}
    assert len(asked(group_by=["project_id", "model", "user_id", "api_key_id", "batch"])) == 3
    assert {one.batch for one in asked(group_by=["batch"])} == {True, False}
    assert [one.service_tier for one in asked(group_by=["service_tier"])] == ["default"]
    assert [one.num_model_requests for one in asked(project_ids=[other.public_id])] == [1]
    assert [one.num_model_requests for one in asked(user_ids=[owner.user.public_id])] == [2]
    assert [one.num_model_requests for one in asked(api_key_ids=[key.public_id])] == [1]
    assert [one.num_model_requests for one in asked(models=["a", "b"])] == [3]
    assert [one.num_model_requests for one in asked(batch=True)] == [1]
    assert [one.num_model_requests for one in asked(batch=False)] == [2]
    assert asked(models=["c"]) == asked(project_ids=[ids.render("proj", uuid4())]) == []
    [named] = asked(group_by=["api_key_id"], api_key_ids=[key.public_id])
    assert (named.api_key_id, named.project_id) == (key.public_id, None)


@pytest.mark.parametrize(("width", "seconds"), [("1m", MINUTE), ("1h", HOUR), ("1d", DAY)])
def test_pages_follow_each_other_without_a_gap(
    owner: Person, valkey: redis.Redis, width: str, seconds: int
) -> None:
    used(valkey, *(sent(owner, started_at=THEN + number * seconds) for number in range(5)))
    query = f"start_time={THEN}&end_time={THEN + 4 * seconds + 1}&bucket_width={width}&limit=2"
    found, cursor = [], ""
    for _ in range(3):
        one = page(owner, query + cursor)
        found += one["data"]
        cursor = f"&page={one['next_page']}"
    assert one["has_more"] is False
    assert [bucket["start_time"] for bucket in found] == [
        THEN - THEN % seconds + number * seconds for number in range(5)
    ]
    assert [bucket["end_time"] - bucket["start_time"] for bucket in found] == [seconds] * 5
    assert [bucket["results"][0]["num_model_requests"] for bucket in found] == [1] * 5


@pytest.mark.parametrize(("width", "buckets"), [("1m", 60), ("1h", 24), ("1d", 7)])
def test_a_page_is_as_long_as_published_unless_told(owner: Person, width: str, buckets: int) -> None:
    found = page(owner, f"start_time=0&bucket_width={width}")
    assert len(found["data"]) == buckets
    assert found["has_more"] is True
    assert {len(bucket["results"]) for bucket in found["data"]} == {0}


def test_until_now_is_meant_where_no_end_is_told(owner: Person) -> None:
    found = page(owner, f"start_time={THEN}&limit=31&page=page_{MIDNIGHT + 31 * DAY:x}")
    assert found["data"][0]["start_time"] == MIDNIGHT + 31 * DAY


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_answers_and_what_there_is_none_of_is_empty(
    owner: Person, valkey: redis.Redis, kind: str
) -> None:
    used(valkey, sent(owner, surface="embeddings", completion_tokens=0), sent(owner), sent(owner))
    found = results(owner, "group_by[]=project_id", f"{USAGE}/{kind}")
    amounts = [(one["num_model_requests"], one["input_tokens"]) for one in found]
    assert amounts == {"completions": [(2, 24)], "embeddings": [(1, 12)]}.get(kind, [])
    client: Any = admin_client(owner).admin.organization.usage
    assert getattr(client, kind)(start_time=MIDNIGHT, limit=1).object == "page"


def test_what_came_from_the_cache_is_told_apart(owner: Person, valkey: redis.Redis) -> None:
    used(valkey, sent(owner, cache="hit"), sent(owner, cache="off"))
    [found] = results(owner)
    assert (found["input_tokens"], found["input_cached_tokens"], found["input_uncached_tokens"]) == (
        24,
        12,
        12,
    )


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("", "start_time"),
        ("start_time=yesterday", "start_time"),
        ("start_time=-1", "start_time"),
        ("start_time=99999999999999", "start_time"),
        ("start_time=100&end_time=100", "end_time"),
        ("start_time=0&end_time=x", "end_time"),
        ("start_time=0&bucket_width=1w", "bucket_width"),
        ("start_time=0&limit=0", "limit"),
        ("start_time=0&limit=32", "limit"),
        ("start_time=0&bucket_width=1h&limit=169", "limit"),
        ("start_time=0&bucket_width=1m&limit=1441", "limit"),
        ("start_time=0&page=page_1", "page"),
        ("start_time=0&page=page_zz", "page"),
        ("start_time=864000&page=page_0", "page"),
        ("start_time=0&group_by=colour", "group_by"),
        ("start_time=0&group_by[]=line_item", "group_by"),
        ("start_time=0&batch=perhaps", "batch"),
        ("start_time=0&" + "&".join(["models=x"] * 101), "models"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused_by_name(owner: Person, query: str, param: str) -> None:
    answer = owner.browser.get(f"{COMPLETIONS}?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("name", ["project_ids", "user_ids", "api_key_ids"])
def test_what_is_no_id_of_its_kind_is_refused(owner: Person, name: str) -> None:
    answer = owner.browser.get(f"{COMPLETIONS}?start_time=0&{name}[]=x")
    assert refused(answer, 404, "not_found")
    assert answer.json()["error"]["param"] == name


@pytest.mark.parametrize(
    "address",
    [
        f"{COMPLETIONS}?start_time=0&group_by=model&models=a",
        "/v1/organization/costs?start_time=0&group_by=line_item",
        "/api/v1/organization/statements",
        "/api/v1/organization/statements/2026-09",
    ],
)
def test_what_is_read_is_totals_and_never_records(owner: Person, address: str) -> None:
    browser = owner.browser
    with CaptureQueriesContext(connection) as asked:
        assert browser.get(address).status_code == 200
    statements = [query["sql"] for query in asked.captured_queries]
    assert not [statement for statement in statements if "usage_usagerecord" in statement]
    assert len([statement for statement in statements if "usage_usagebucket" in statement]) == 1


def test_a_stranger_sees_nothing_of_it(owner: Person, stranger: Person, valkey: redis.Redis) -> None:
    used(valkey, sent(owner))
    assert len(results(owner)) == 1
    assert results(stranger) == []
    assert results(stranger, f"project_ids={owner.project.public_id}&group_by=project_id") == []


@pytest.mark.parametrize("role", list(Role))
def test_only_roles_with_the_permission_read_usage(owner: Person, role: Role) -> None:
    member = new_person(role, joining=owner)
    expected = 200 if Permission.USAGE_READ in MATRIX[role] else 403
    assert call(member, "get", f"{COMPLETIONS}?start_time=0").status_code == expected


def test_a_projects_key_reads_no_usage(owner: Person) -> None:
    assert owner.program.get(f"{COMPLETIONS}?start_time=0").status_code == 403
