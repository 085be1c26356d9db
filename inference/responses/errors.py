"""What can be wrong with a stored response."""

from kernel.errors import InvalidRequest, NotFound


class ResponseUnknown(NotFound):
    """There is no such stored response in this project."""

    code = "response_not_found"


class ItemUnknown(NotFound):
    """The response has no such item."""

    code = "item_not_found"


class NotCancellable(InvalidRequest):
    """The response is complete: only those made in the background can be cancelled."""

    code = "response_not_cancellable"


class NotStreamable(InvalidRequest):
    """A stored response is answered whole."""

    code = "unsupported_parameter"
