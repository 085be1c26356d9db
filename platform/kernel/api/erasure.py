"""Answers that are given again for a day: their bodies may hold whatever was answered."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from kernel.api.models import KeptAnswer
from kernel.crypto.errors import KeyDestroyed
from kernel.ports.erasure import Beat, Fate, Keeper, Subject, Trace, keeps
from kernel.tenancy.scope import acting_for


@keeps
class AnswersGivenAgain(Keeper):
    """Kept answers in whose bodies the subject is named. A person's own are rows about them."""

    name = "kept answers"

    def find(self, subject: Subject, found: Sequence[Trace], beat: Beat) -> Iterator[Trace]:
        """How many there are now."""
        if subject.words and (named := self._naming(subject, beat)):
            yield Trace(kind="answers given again", place="database", count=len(named), fate=Fate.ERASED)

    def erase(self, subject: Subject, traces: Sequence[Trace], beat: Beat) -> None:
        """Delete them. A whole organization's go with its rows."""
        named = self._naming(subject, beat) if subject.words else []
        with acting_for(subject.organization_id):
            KeptAnswer.objects.filter(pk__in=named).delete()

    def _naming(self, subject: Subject, beat: Beat) -> list[UUID]:
        found = []
        with acting_for(subject.organization_id):
            for answer in KeptAnswer.objects.order_by("pk").iterator(chunk_size=100):
                beat()
                if subject.is_named_in(_text(answer)):
                    found.append(answer.pk)
        return found


def _text(answer: KeptAnswer) -> str:
    try:
        return answer.body.decode(errors="replace")
    except KeyDestroyed:
        return ""
