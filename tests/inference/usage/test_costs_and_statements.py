"""Costs and statements: what was used, at the price of its moment, in whole micro-units."""

import csv
import io
import secrets
from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from tenants.access.models import ApiKey
from tenants.access.permissions import MATRIX, Permission, Role
from tenants.limits.kinds import Kind, Scope, Subject
from tenants.limits.models import Price
from tenants.limits.services import uses
from tenants.limits.services.training import Training, count_training
from tests.cast import Person, new_person
from tests.inference.usage.house import DAY, THEN, sent, stored, used
from tests.tenants.administration.offices import admin_client, call
from tests.tenants.administration.published import conforms

COSTS = "/v1/organization/costs"
STATEMENTS = "/api/v1/organization/statements"
MIDNIGHT = THEN - THEN % DAY
MONTH = "2026-09"


def priced(per_token: int, *, model: str = "", since: float = THEN - 100 * DAY) -> str:
    """A model that costs so many micro-units a token, from a moment on; answers its name."""
    name = model or f"priced-{secrets.token_hex(4)}"
    Price.objects.create(
        model=name,
        input_microunits_per_million_tokens=per_token * 1_000_000,
        output_microunits_per_million_tokens=per_token * 1_000_000,
        valid_from=datetime.fromtimestamp(since, UTC),
    )
    return name


def costs(person: Person, query: str = "", *, start: float = MIDNIGHT) -> list[dict[str, Any]]:
    """The results of three days, which must be what is published."""
    answer = person.browser.get(f"{COSTS}?start_time={start:.0f}&end_time={start + 3 * DAY:.0f}&{query}")
    assert answer.status_code == 200, answer.content
    found = conforms("UsageResponse", answer.json())
    return [result for bucket in found["data"] for result in bucket["results"]]


def statement(person: Person, month: str = MONTH) -> dict[str, Any]:
    answer = person.browser.get(f"{STATEMENTS}/{month}")
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def test_the_official_client_reads_costs(owner: Person, valkey: redis.Redis) -> None:
    model = priced(1000)
    with owner.acting():
        key = ApiKey.objects.get()
    used(
        valkey, sent(owner, model=model, key_id=str(key.pk)), sent(owner, model=model, started_at=THEN + DAY)
    )
    usage = admin_client(owner).admin.organization.usage
    page = usage.costs(
        start_time=MIDNIGHT,
        end_time=MIDNIGHT + 3 * DAY,
        group_by=["project_id", "line_item", "api_key_id"],
        api_key_ids=[key.public_id],
    )
    first, second, third = page.data
    assert (second.results, third.results) == ([], [])
    [found] = first.results
    assert found.object == "organization.costs.result"
    assert found.amount is not None
    assert (found.amount.value, found.amount.currency) == (0.046, "usd")
    assert (found.line_item, found.quantity, found.quantity_unit) == (f"{model}, completions", 46, "tokens")
    assert (found.project_id, found.api_key_id) == (owner.project.public_id, key.public_id)


def test_costs_are_summed_by_day_and_grouped_by_nothing_unless_told(
    owner: Person, valkey: redis.Redis
) -> None:
    models = [priced(1000), priced(2000)]
    used(valkey, *(sent(owner, model=model) for model in models))
    [found] = costs(owner)
    assert found["amount"] == {"value": 0.138, "currency": "usd"}
    assert [found[name] for name in ("line_item", "project_id", "quantity", "quantity_unit")] == [None] * 4
    assert {one["line_item"] for one in costs(owner, "group_by[]=line_item")} == {
        f"{model}, completions" for model in models
    }


def test_a_later_price_changes_nothing_of_the_past(owner: Person, valkey: redis.Redis) -> None:
    model = priced(1)
    used(valkey, sent(owner, model=model))
    before = statement(owner)
    # One that holds from an hour on, and one that is entered as if it had always held.
    priced(1000, model=model, since=THEN + 3600)
    priced(1_000_000, model=model, since=THEN - 50 * DAY)
    assert statement(owner) == before
    assert before["total_microunits"] == 46


def test_what_arrives_late_is_charged_at_the_price_of_its_moment(owner: Person, valkey: redis.Redis) -> None:
    model = priced(1)
    priced(1000, model=model, since=THEN + 3600)
    used(valkey, sent(owner, model=model), sent(owner, model=model, started_at=THEN + 3600))
    assert sorted(row.cost_microunits or 0 for row in stored(owner)) == [46, 46_000]
    with owner.acting():
        at = datetime.fromtimestamp(THEN, UTC)
        spent = uses.used(Kind.SPEND_MICROUNITS_PER_MONTH, Subject(Scope.ORGANIZATION), at=at)
    assert spent == statement(owner)["total_microunits"] == 46_046


def test_each_request_is_rounded_up_to_a_whole_micro_unit(owner: Person, valkey: redis.Redis) -> None:
    name = f"cheap-{secrets.token_hex(4)}"
    Price.objects.create(
        model=name,
        input_microunits_per_million_tokens=1,
        output_microunits_per_million_tokens=1,
        valid_from=datetime.fromtimestamp(THEN - DAY, UTC),
    )
    used(valkey, sent(owner, model=name), sent(owner, model=name))
    assert statement(owner)["total_microunits"] == 2


def test_an_answer_from_the_cache_is_not_charged(owner: Person, valkey: redis.Redis) -> None:
    model = priced(5)
    used(valkey, sent(owner, model=model, cache="hit"))
    shown = statement(owner)
    assert (shown["total_microunits"], shown["charged_microunits"]) == (0, 0)
    assert [line["requests"] for line in shown["lines"]] == [1]


def test_training_is_in_the_costs_and_in_the_statement(owner: Person) -> None:
    base = f"base-{secrets.token_hex(4)}"
    Price.objects.create(
        model=base,
        input_microunits_per_million_tokens=0,
        output_microunits_per_million_tokens=0,
        training_microunits_per_minute=60_000,
    )
    with owner.acting():
        count_training(Training(owner.project.pk, owner.user.pk, base), seconds=90)
        today = uses.database_now()
    midnight = today.timestamp() - today.timestamp() % DAY
    [found] = costs(owner, "group_by[]=line_item", start=midnight)
    assert (found["line_item"], found["amount"]["value"], found["quantity"]) == ("training", 0.09, None)
    assert costs(owner, f"project_ids[]=proj_{'0' * 32}", start=midnight) == []
    shown = statement(owner, f"{today:%Y-%m}")
    assert shown["total_microunits"] == shown["charged_microunits"] == 90_000
    [line] = shown["lines"]
    assert (line["kind"], line["model"], line["day"]) == ("training", None, f"{today:%Y-%m-%d}")


def test_a_statement_tells_each_day_project_and_model(owner: Person, valkey: redis.Redis) -> None:
    model = priced(10)
    used(
        valkey,
        *(sent(owner, model=model, started_at=THEN + later) for later in (0, 60, DAY)),
        sent(owner, model="free of charge"),
    )
    shown = statement(owner)
    assert (shown["month"], shown["complete"], shown["currency"]) == (MONTH, True, "USD")
    assert shown["total_microunits"] == shown["charged_microunits"] == 3 * 460
    lines = [(one["day"], one["model"], one["requests"], one["cost_microunits"]) for one in shown["lines"]]
    assert sorted(lines) == [
        ("2026-09-21", "free of charge", 1, 0),
        ("2026-09-21", model, 2, 920),
        ("2026-09-22", model, 1, 460),
    ]
    assert {one["project_id"] for one in shown["lines"]} == {owner.project.public_id}
    [month] = call(owner, "get", STATEMENTS).json()["data"]
    assert (month["month"], month["requests"], month["total_microunits"]) == (MONTH, 4, 1380)


def test_the_statement_as_csv_has_the_same_lines_and_runs_in_no_spreadsheet(
    owner: Person, valkey: redis.Redis
) -> None:
    used(valkey, sent(owner, model="=cmd()"), sent(owner, model='a,"b"'))
    answer = owner.browser.get(f"{STATEMENTS}/{MONTH}/csv")
    assert answer["Content-Type"].startswith("text/csv")
    assert answer["Content-Disposition"] == 'attachment; filename="statement-2026-09.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert {row["model"] for row in rows} == {"'=cmd()", 'a,"b"'}
    assert [int(row["input_tokens"]) for row in rows] == [
        line["input_tokens"] for line in statement(owner)["lines"]
    ]


@pytest.mark.parametrize("month", ["2026-13", "2026-9", "1999-01", "soon"])
def test_what_is_no_month_is_refused(owner: Person, month: str) -> None:
    answer = owner.browser.get(f"{STATEMENTS}/{month}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "month")


def test_a_stranger_sees_nothing_of_it(owner: Person, stranger: Person, valkey: redis.Redis) -> None:
    used(valkey, sent(owner))
    assert statement(stranger)["lines"] == []
    assert call(stranger, "get", STATEMENTS).json()["data"] == []
    assert costs(stranger) == []


@pytest.mark.parametrize("role", list(Role))
def test_only_roles_with_the_permission_read_costs(owner: Person, role: Role) -> None:
    member = new_person(role, joining=owner)
    expected = 200 if Permission.USAGE_READ in MATRIX[role] else 403
    for address in (f"{COSTS}?start_time=0", STATEMENTS, f"{STATEMENTS}/{MONTH}"):
        assert call(member, "get", address).status_code == expected


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("start_time=0&bucket_width=1h", "bucket_width"),
        ("start_time=0&limit=181", "limit"),
        ("start_time=0&group_by=model", "group_by"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused_by_name(owner: Person, query: str, param: str) -> None:
    answer = owner.browser.get(f"{COSTS}?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
