"""How a model server can fail its caller."""

from dataclasses import dataclass


@dataclass(eq=False)
class BackendFault(Exception):
    """The base: a sentence for the log, and seconds to wait where the server said so."""

    message: str
    retry_after_seconds: float | None = None

    def __str__(self) -> str:
        return self.message


class Refused(BackendFault):
    """The server found the request invalid; the message is the server's."""


@dataclass(eq=False)
class TooLong(Refused):
    """Prompt and answer exceed the context. Counts in tokens, None where the server did not say."""

    context_tokens: int | None = None
    prompt_tokens: int | None = None
    answer_tokens: int | None = None


class UnknownAdapter(BackendFault):
    """The server does not hold the adapter that was asked for."""


class Overloaded(BackendFault):
    """The server takes no more requests now."""


class Unreachable(BackendFault):
    """No connection, or the server says it is not serving."""


class TimedOut(BackendFault):
    """The server accepted the request and fell silent."""


class Broken(BackendFault):
    """The server broke off or sent what its protocol does not allow."""


class ConnectionLost(Broken):
    """The connection ended before the answer was complete."""


class OtherModel(BackendFault):
    """Another model than the one asked for answered. Nothing of it may be shown."""


class CannotCount(BackendFault):
    """The server has no way to count a prompt's tokens before it answers."""
