"""Stored responses in which the subject is named, whoever asked: they go as a whole."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import orjson

from inference.responses.models import StoredResponse
from kernel import ids
from kernel.crypto.errors import KeyDestroyed
from kernel.ports.erasure import Beat, Fate, Keeper, Subject, Trace, keeps
from kernel.tenancy.scope import acting_for
from tenants.organizations.services import holds

BATCH = 200
KIND = "responses"


@keeps
class WordsInResponses(Keeper):
    """A response is one question and its answer: without its text nothing is left of it."""

    name = "responses"

    def find(self, subject: Subject, found: Sequence[Trace], beat: Beat) -> Iterator[Trace]:
        """Every response whose items or answer hold one of the words."""
        if not subject.words:
            return
        after: UUID | None = UUID(int=0)
        while after is not None:
            beat()
            named, after = _look_through(subject, after)
            for response_id in named:
                yield Trace(
                    kind=KIND,
                    place=ids.render("resp", response_id),
                    count=1,
                    fate=Fate.ERASED,
                    because="What was asked or answered names the person.",
                )

    def erase(self, subject: Subject, traces: Sequence[Trace], beat: Beat) -> None:
        """Delete them. Raises `UnderLegalHold`."""
        for trace in traces:
            beat()
            with acting_for(subject.organization_id):
                row = StoredResponse.objects.filter(pk=ids.parse("resp", trace.place)).first()
                if row is None:
                    continue
                holds.require_free(people=[row.created_by_id] if row.created_by_id else [])
                row.delete()


def _look_through(subject: Subject, after: UUID) -> tuple[list[UUID], UUID | None]:
    """The responses of a batch that name the subject, and the last row's id, None at the end."""
    with acting_for(subject.organization_id):
        rows = list(StoredResponse.objects.filter(pk__gt=after).order_by("pk")[:BATCH])
        named = [row.pk for row in rows if subject.is_named_in(_text_of(row))]
    return named, rows[-1].pk if rows else None


def _text_of(row: StoredResponse) -> str:
    """All texts that are kept of it; what a destroyed key sealed holds nobody any more."""
    try:
        return "\n".join(_texts_in([row.items, row.body]))
    except KeyDestroyed:
        return ""


def _texts_in(value: Any) -> Iterator[str]:
    """Every text of a JSON value, and of those that are JSON themselves (a call's arguments) theirs too."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield name
            yield from _texts_in(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts_in(one)
    elif isinstance(value, str):
        yield value
        if value.startswith("{"):
            with suppress(orjson.JSONDecodeError):
                yield from _texts_in(orjson.loads(value))
