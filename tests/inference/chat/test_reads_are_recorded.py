"""Whoever opens a conversation, its owner too, leaves an entry in the audit log."""

from typing import Any

from asgiref.sync import sync_to_async

from kernel.audit.models import AuditEntry
from tests.cast import Person


async def test_opening_a_conversation_is_recorded_wherever_it_is_opened(
    owner: Person, deployed: str, chat: Any
) -> None:
    conversation = await chat.begin(owner, deployed)
    socket = await chat.talk(owner, conversation)
    # It answers a frame once its opening, which is after the handshake, is over.
    await socket.say(type="unknown")
    assert (await socket.hear())["type"] == "error"
    await chat.rest(owner, "get", f"/api/v1/conversations/{conversation}")

    def read() -> list[AuditEntry]:
        with owner.acting():
            return list(AuditEntry.objects.filter(action="conversation.read").order_by("pk"))

    entries = await sync_to_async(read)()
    # The socket's thread and the request's write on their own: which comes first is not promised.
    assert sorted((entry.details for entry in entries), key=len) == [{}, {"through": "socket"}]
    for entry in entries:
        assert (entry.actor, entry.target) == (owner.user.public_id, conversation)
        assert entry.request_id.startswith("req-")
        assert entry.person == owner.user.pk
