"""Stored responses go where they name somebody who is erased, and when their days are over."""

import json
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from inference.responses.erasure import WordsInResponses
from inference.responses.models import StoredResponse
from kernel.crypto.columns import sealed_columns
from kernel.ports.erasure import Subject, no_beat
from tenants.compliance.execution.retaining import enforce
from tenants.organizations.models import HeldSubject
from tenants.organizations.services.holds import UnderLegalHold, set_hold
from tests.cast import Person
from tests.inference.responses.house import rows, store
from tests.tenants.compliance.house import erase, export, opened, rows_in


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("Write to Ann\nLee, please.", "{}"),
        ("Find her.", '{"name": "Ann Lee"}'),
        ("Find her.", '{"who": {"name": "\\u0041nn Lee"}}'),
    ],
)
def test_a_response_that_names_somebody_goes(
    owner: Person, teammate: Person, text: str, arguments: str
) -> None:
    named, other = store(teammate, text, arguments=arguments), store(teammate, "Hello")
    subject = Subject(organization_id=owner.organization.pk, words=("Ann Lee",))
    keeper = WordsInResponses()
    traces = list(keeper.find(subject, [], no_beat))
    assert [trace.place for trace in traces] == [named.public_id]
    for _ in range(2):
        keeper.erase(subject, traces, no_beat)
    assert [row.pk for row in rows(owner)] == [other.pk]


def test_a_held_persons_response_stays(owner: Person) -> None:
    store(owner, "Write to Ann Lee.")
    subject = Subject(organization_id=owner.organization.pk, words=("Ann Lee",))
    keeper = WordsInResponses()
    traces = list(keeper.find(subject, [], no_beat))
    with owner.acting():
        set_hold(HeldSubject.PERSON, owner.user.pk, name="A case", reason="A court asked.", by=None)
    with pytest.raises(UnderLegalHold):
        keeper.erase(subject, traces, no_beat)
    assert len(rows(owner)) == 1


def test_an_erasure_of_words_takes_responses_along(owner: Person) -> None:
    store(owner, "Write to ann@house.example today.")
    store(owner, "Hello")
    erase(owner, words=["ann@house.example"])
    assert len(rows(owner)) == 1


def test_a_persons_responses_go_with_them_and_nobody_elses(owner: Person, teammate: Person) -> None:
    store(teammate, "A secret")
    kept = store(owner, "The owner's own")
    done = erase(owner, user_id=teammate.user.public_id)
    assert done["state"] == "completed", done
    assert [row.pk for row in rows(owner)] == [kept.pk]


def test_a_copy_of_the_organization_has_them_in_clear(owner: Person) -> None:
    stored = store(owner, "Where is the loom?")
    archive = opened(owner, export(owner)["id"])
    (row,) = rows_in(archive, StoredResponse)
    assert row["id"] == str(stored.pk)
    assert "Where is the loom?" in json.dumps(row)


def test_responses_are_kept_for_thirty_days_unless_the_organization_says_otherwise(owner: Person) -> None:
    old, young = store(owner, "Old"), store(owner, "Young")
    with owner.acting():
        StoredResponse.objects.filter(pk=old.pk).update(created_at=Now() - timedelta(days=31))
    enforce(owner.organization.pk)
    assert [row.pk for row in rows(owner)] == [young.pk]


def test_what_was_asked_and_answered_is_found_by_whoever_re_encrypts() -> None:
    found = {place.column.purpose for place in sealed_columns() if place.model is StoredResponse}
    assert found == {"response.items", "response.body"}
