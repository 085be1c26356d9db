"""Batches when somebody is erased whom their requests or answers name."""

from inference.batches.erasure import BatchesUnderWay
from inference.batches.execution import parts, runner
from inference.batches.models import BatchPart, PartKind
from kernel.ids import parse
from kernel.ports.erasure import Fate, Subject, Trace, no_beat
from kernel.storage import objects
from tenants.datasets.erasure import RowsOfFiles
from tests.cast import Person
from tests.inference.batches.house import bring, line, lines, make, row, taken

NAME = "ann@house.example"
KEEPER = BatchesUnderWay()


def subject(person: Person) -> Subject:
    return Subject(organization_id=person.organization.pk, words=(NAME,))


def with_an_answer(person: Person, batch_id: str, text: bytes) -> BatchPart:
    """Store a line of an answer in a batch that is under way."""
    part = parts.store(person.organization.pk, parse("batch", batch_id), PartKind.OUTPUT, [text])
    with person.acting():
        part.save(force_insert=True)
    return part


def test_a_batch_whose_answers_name_the_person_ends_and_they_go(owner: Person) -> None:
    named, other = make(owner, lines(1)), make(owner, lines(1))
    part = with_an_answer(owner, named.id, b'{"text": "Write to Ann@House.example"}\n')
    with_an_answer(owner, other.id, b'{"text": "Nobody"}\n')
    [trace] = list(KEEPER.find(subject(owner), [], no_beat))
    assert (trace.place, trace.fate) == (named.id, Fate.CANCELLED)
    for _ in range(2):
        KEEPER.erase(subject(owner), [trace], no_beat)
    ended = owner.openai.batches.retrieve(named.id)
    assert (ended.status, ended.request_counts.total) == ("failed", 0)
    assert ended.errors is not None
    assert [error.code for error in ended.errors.data or []] == ["rows_erased"]
    assert not objects.exists(owner.organization.pk, part.object_key)
    assert owner.openai.batches.retrieve(other.id).status == "validating"


def test_a_batch_on_rows_that_are_erased_ends_under_its_worker(owner: Person) -> None:
    batch = make(owner, lines(2))
    lease = taken(owner)
    found = Trace(kind="rows of files", place=batch.input_file_id, count=1, fate=Fate.REWRITTEN)
    [trace] = list(KEEPER.find(subject(owner), [found], no_beat))
    KEEPER.erase(subject(owner), [trace], no_beat)
    runner.take_turn(lease, gateway=None)  # type: ignore[arg-type]
    assert row(owner, batch.id).state == "failed"


def test_an_input_file_without_the_rows_is_an_input_file_still(owner: Person) -> None:
    bring(owner, lines(1) + line(NAME))
    keeper = RowsOfFiles()
    traces = list(keeper.find(subject(owner), [], no_beat))
    keeper.erase(subject(owner), traces, no_beat)
    [copy] = list(owner.openai.files.list())
    assert (copy.purpose, copy.status) == ("batch", "processed")
    assert owner.openai.files.content(copy.id).read() == lines(1)
