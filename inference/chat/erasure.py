"""What chat keeps of an organization outside its tables: answers on their way to the browser."""

from datetime import timedelta
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Now

from inference.chat import streams
from inference.chat.models import Message, MessageState
from kernel.ports.erasure import erases
from kernel.tenancy.scope import acting_for


@erases("answers")
def erase_answers(organization_id: UUID) -> None:
    """Stop the organization's answers under way and drop their streams. Raises `redis.RedisError`."""
    with acting_for(organization_id):
        kept = Now() - timedelta(seconds=streams.KEEP_SECONDS)
        recent = Message.objects.filter(Q(state=MessageState.STREAMING) | Q(created_at__gte=kept))
        for message_id in recent.values_list("pk", flat=True):
            streams.ask_to_stop(message_id)
            streams.drop_stream(message_id)
