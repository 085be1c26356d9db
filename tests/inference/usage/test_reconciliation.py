"""Records, totals and charges are compared: what was tampered with is told, and totals are mended."""

import io
from datetime import date
from typing import Any
from uuid import uuid4

import pytest
import redis
from django.core.management import CommandError, call_command
from django.db.models import F

from inference.usage import reconciliation, tasks
from inference.usage.models import Grain, UsageBucket, UsageRecord
from inference.usage.reconciliation import Difference, reconcile
from tenants.limits.models import Use
from tests.cast import Person
from tests.inference.usage.house import DAY, THEN, buckets, sent, used
from tests.inference.usage.test_costs_and_statements import priced, statement

MONTH = date(2026, 9, 1)


@pytest.fixture
def busy(owner: Person, valkey: redis.Redis) -> Person:
    """The owner of an organization in which two days were used, and paid for."""
    same = {"model": priced(10), "key_id": str(uuid4())}
    later = (0, 60, 3600, DAY)
    used(valkey, *(sent(owner, started_at=THEN + seconds, **same) for seconds in later))
    return owner


def look(person: Person, *, repair: bool = True) -> list[Difference]:
    return reconcile(person.organization.pk, MONTH, repair=repair)


def shape(person: Person) -> list[tuple[Any, ...]]:
    """Everything that the totals say."""
    return [
        (
            row.id,
            row.grain,
            row.start,
            row.requests,
            row.prompt_tokens,
            row.completion_tokens,
            row.cost_microunits,
        )
        for grain in Grain
        for row in buckets(person, grain)
    ]


def test_where_nothing_was_touched_nothing_is_told(busy: Person) -> None:
    before = shape(busy)
    assert look(busy) == []
    assert shape(busy) == before


@pytest.mark.parametrize("grain", list(Grain))
@pytest.mark.parametrize("column", ["requests", "prompt_tokens", "completion_tokens", "cost_microunits"])
def test_a_total_that_was_tampered_with_is_told_and_mended(busy: Person, grain: Grain, column: str) -> None:
    before = shape(busy)
    [*_, last] = buckets(busy, grain)
    with busy.acting():
        UsageBucket.objects.filter(pk=last.pk).update(**{column: F(column) + 7})
    [told] = [found for found in look(busy) if found.grain == grain]
    assert (told.what, told.found - told.kept, told.repaired) == (column, 7, True)
    assert (told.day, told.project_id) == (date(2026, 9, 22), busy.project.pk)
    assert shape(busy) == before
    assert look(busy) == []


def test_a_total_that_is_gone_and_one_of_nothing_are_told_and_mended(busy: Person) -> None:
    before = shape(busy)
    with busy.acting():
        first = UsageBucket.objects.filter(grain=Grain.DAY.value).order_by("start")[0]
        UsageBucket.objects.filter(grain=Grain.HOUR.value).delete()
        UsageBucket.objects.filter(pk=first.pk).update(model="never used")
    assert {found.model for found in look(busy)} >= {"never used"}
    assert shape(busy) == before


def test_a_record_that_was_taken_out_is_told_and_the_charge_is_left(busy: Person) -> None:
    with busy.acting():
        UsageRecord.objects.order_by("started_at")[0].delete()
    told = {found.what: found for found in look(busy)}
    assert told["requests"].repaired
    assert (told["charged_microunits"].kept, told["charged_microunits"].found) == (3 * 460, 4 * 460)
    assert (told["charged_tokens"].kept, told["charged_tokens"].found) == (2 * 46, 3 * 46)
    assert not told["charged_microunits"].repaired
    assert statement(busy)["charged_microunits"] == 4 * 460


def test_a_charge_that_was_tampered_with_is_told_and_not_changed(busy: Person) -> None:
    with busy.acting():
        Use.objects.filter(kind="spend_microunits_per_month").update(amount=F("amount") - 1)
    [told] = look(busy)
    assert (told.what, told.kept, told.found, told.repaired) == ("charged_microunits", 1840, 1839, False)
    assert look(busy) == [told]


def test_looking_only_changes_nothing(busy: Person) -> None:
    with busy.acting():
        UsageBucket.objects.filter(grain=Grain.DAY.value).update(requests=99)
    before = shape(busy)
    assert [found.repaired for found in look(busy, repair=False)] == [False, False]
    assert shape(busy) == before


def test_records_from_before_totals_were_kept_are_priced_and_counted(busy: Person) -> None:
    before = shape(busy)
    with busy.acting():
        UsageRecord.objects.update(cost_microunits=None)
        UsageBucket.objects.all().delete()
    assert look(busy)
    assert shape(busy) == before
    assert statement(busy)["total_microunits"] == 4 * 460


def test_days_whose_records_went_by_retention_keep_their_totals(busy: Person) -> None:
    with busy.acting():
        UsageBucket.objects.update(records_gone=True)
        UsageRecord.objects.all().delete()
    before = shape(busy)
    assert [found for found in look(busy) if found.what != "charged_tokens"] == []
    assert shape(busy) == before


def test_the_command_tells_each_difference_and_says_so_by_its_exit_code(busy: Person) -> None:
    named = {"month": MONTH, "organization": busy.organization.pk}
    said = io.StringIO()
    call_command("reconcile_usage", stdout=said, **named)
    assert "0 differences in 2026-09." in said.getvalue()
    with busy.acting():
        UsageBucket.objects.filter(grain=Grain.DAY.value).update(requests=99)
    with pytest.raises(SystemExit) as ended:
        call_command("reconcile_usage", stdout=said, **named)
    assert ended.value.code == 1
    assert "2026-09-21 1d requests" in said.getvalue()
    assert "99 instead of 3, repaired" in said.getvalue()
    call_command("reconcile_usage", stdout=said, **named)
    with pytest.raises(CommandError, match="no month"):
        call_command("reconcile_usage", "--month", "soon")


def test_the_daily_task_looks_at_this_month_and_the_one_before(
    busy: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[date] = []
    monkeypatch.setattr(reconciliation, "reconcile_everywhere", seen.append)
    tasks.reconcile()
    before, this = seen
    assert (this.day, before.day) == (1, 1)
    assert 28 <= (this - before).days <= 31


def test_everybodys_months_are_compared(busy: Person, stranger: Person) -> None:
    with busy.acting():
        UsageBucket.objects.filter(grain=Grain.DAY.value).update(requests=99)
    assert reconciliation.reconcile_everywhere(MONTH) >= 2
    assert look(busy) == []


def test_what_is_told_names_ids_and_figures_only(busy: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[dict[str, Any]] = []

    class Log:
        def warning(self, event: str, **facts: Any) -> None:
            said.append({"event": event, **facts})

    monkeypatch.setattr(reconciliation, "log", Log())
    with busy.acting():
        UsageBucket.objects.filter(grain=Grain.DAY.value).update(model="a secret name")
    look(busy)
    assert said
    assert "a secret name" not in str(said)
    assert {one["event"] for one in said} == {"usage.difference"}
