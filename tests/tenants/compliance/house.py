"""What tests of compliance do: bring files, talk, ask for exports and erasures, and be their worker."""

import io
import zipfile
from typing import Any

import orjson

from inference.chat.models import Conversation, Message, MessageState
from kernel import ids
from tenants.compliance import holdings
from tenants.compliance.execution import erasing, exporting
from tenants.compliance.models import ErasureRequest, Export
from tenants.datasets import execution
from tenants.datasets.models import File
from tests.cast import Person
from tests.tenants.administration.offices import call

EXPORTS = "/api/v1/compliance/exports"
ERASURES = "/api/v1/compliance/erasures"
HOLDS = "/api/v1/compliance/legal-holds"
RETENTION = "/api/v1/compliance/retention"


def row(question: str, answer: str = "Yes.") -> bytes:
    """A chat row."""
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return orjson.dumps({"messages": messages}) + b"\n"


def bring(person: Person, content: bytes, filename: str = "rows.jsonl") -> File:
    """A file of the person's, validated."""
    upload = io.BytesIO(content)
    upload.name = filename
    answer = person.program.post("/v1/files", {"file": upload, "purpose": "fine-tune"})
    assert answer.status_code == 200, answer.content
    file_id = ids.parse("file", answer.json()["id"])
    execution.process_file(person.organization.pk, file_id)
    return file_of(person, file_id)


def file_of(person: Person, file_id: Any) -> File:
    """The file as it is now."""
    with person.acting():
        file: File = File.objects.get(pk=file_id)
    return file


def say(person: Person, *texts: str) -> Conversation:
    """A conversation of the person's with these messages."""
    with person.acting():
        conversation = Conversation(project=person.project, created_by=person.user, model="a-model")
        conversation.organization_id = person.organization.pk
        conversation.title = texts[0]
        conversation.save(force_insert=True)
        for position, text in enumerate(texts):
            message = Message(conversation=conversation, position=position, role="user")
            message.organization_id = person.organization.pk
            message.state = MessageState.COMPLETE
            message.content = text
            message.save(force_insert=True)
    return conversation


def texts_of(person: Person, conversation: Conversation) -> list[str]:
    """What the messages say now."""
    with person.acting():
        return [message.content for message in Message.objects.filter(conversation=conversation)]


def export(person: Person, address: str = EXPORTS, **body: Any) -> dict[str, Any]:
    """Ask for a copy, and make it."""
    answer = call(person, "post", address, body)
    assert answer.status_code == 202, answer.content
    make(person, answer.json()["id"])
    made: dict[str, Any] = call(person, "get", f"{address}/{answer.json()['id']}").json()
    return made


def make(person: Person, export_id: str) -> None:
    """Do what a worker does for an export."""
    exporting.run_export(person.organization.pk, ids.parse("export", export_id))


def opened(person: Person, export_id: str, address: str = EXPORTS) -> zipfile.ZipFile:
    """The file of a copy, downloaded."""
    answer = call(person, "get", f"{address}/{export_id}/file")
    assert answer.status_code == 200, answer.content
    return zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content)))


def rows_in(archive: zipfile.ZipFile, model: holdings.Model) -> list[dict[str, Any]]:
    """The rows of a table."""
    return [orjson.loads(line) for line in archive.read(exporting.name_of(model)).splitlines()]


def ask(person: Person, **body: Any) -> str:
    """Ask for an erasure; gives its id."""
    answer = call(person, "post", ERASURES, body)
    assert answer.status_code == 202, answer.content
    identifier: str = answer.json()["id"]
    return identifier


def go_on(person: Person, erasure_id: str, *, fresh: bool = True) -> dict[str, Any]:
    """Do what a worker does for an erasure; with `fresh` without the pause after a failure."""
    if fresh:
        with person.acting():
            ErasureRequest.objects.filter(pk=ids.parse("erasure", erasure_id)).update(lease_until=None)
    erasing.advance(person.organization.pk, ids.parse("erasure", erasure_id))
    return seen(person, erasure_id)


def seen(person: Person, erasure_id: str) -> dict[str, Any]:
    """A request as the API shows it."""
    shown: dict[str, Any] = call(person, "get", f"{ERASURES}/{erasure_id}").json()
    return shown


def approve(person: Person, erasure_id: str) -> Any:
    """Approve a plan."""
    return call(person, "post", f"{ERASURES}/{erasure_id}/approve")


def erase(person: Person, **body: Any) -> dict[str, Any]:
    """Ask, find, approve, and erase."""
    erasure_id = ask(person, **body)
    assert go_on(person, erasure_id)["state"] == "planned"
    assert approve(person, erasure_id).status_code == 202
    return go_on(person, erasure_id)


def places(plan: list[dict[str, Any]], kind: str) -> list[str]:
    """Where something of a kind was found."""
    return [trace["place"] for trace in plan if trace["kind"] == kind]


def export_row(person: Person, export_id: str) -> Export:
    """The export's row."""
    with person.acting():
        found: Export = Export.objects.get(pk=ids.parse("export", export_id))
    return found
