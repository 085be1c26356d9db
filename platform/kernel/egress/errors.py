"""Why a request to an address that a tenant named was not made, or its answer not taken."""

from kernel.errors import InvalidRequest


class EgressFault(InvalidRequest):
    """Any fault of an outgoing request. None tells what our own network looks like."""

    code = "address_failed"
    message = "The address could not be asked."


class AddressRefused(EgressFault):
    """The address is not one that may be asked; nothing was sent."""

    code = "address_refused"
    message = "The address is not allowed."


class AddressUnresolved(EgressFault):
    """The name has no address."""

    code = "address_unresolved"
    message = "The host's name could not be resolved; check how it is written."


class AddressUnreachable(EgressFault):
    """Nobody took the connection, its certificate does not hold, or it broke."""

    code = "address_unreachable"
    message = "The server could not be reached."


class AnswerTooLarge(EgressFault):
    """The answer has more bytes than are read."""

    code = "answer_too_large"
    message = "The server's answer is larger than is accepted."


class AnswerTooLate(EgressFault):
    """The answer was not there, whole, in the time it had."""

    code = "answer_too_late"
    message = "The server did not answer in time."


class AnswerUnreadable(EgressFault):
    """What came is no answer that can be read."""

    code = "answer_unreadable"
    message = "The server's answer could not be read."
