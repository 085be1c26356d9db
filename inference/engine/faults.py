"""What can go wrong in the pod, with TGI's names, statuses and sentences."""

from typing import ClassVar


class EngineFault(Exception):
    """A fault that the client is told about, as TGI's `{"error", "error_type"}`."""

    status: ClassVar[int] = 500
    error_type: ClassVar[str] = "incomplete_generation"
    prefix: ClassVar[str] = ""

    def __init__(self, message: str) -> None:
        super().__init__(self.prefix + message)

    def body(self) -> dict[str, str]:
        return {"error": str(self), "error_type": self.error_type}


class InvalidInput(EngineFault):
    """The request asks for something this pod cannot do."""

    status, error_type = 422, "validation"
    prefix = "Input validation error: "


class InvalidTemplate(EngineFault):
    """The messages do not fit the chat template."""

    status, error_type = 422, "template_error"
    prefix = "Template error: "


class GenerationFailed(EngineFault):
    """The instance did not start, refused the request or stalled."""

    status, error_type = 424, "generation"
    prefix = "Request failed during generation: "


class Overloaded(EngineFault):
    """All places for requests at the same time are taken."""

    status, error_type = 429, "overloaded"

    def __init__(self, message: str = "Model is overloaded") -> None:
        super().__init__(message)


class IncompleteGeneration(EngineFault):
    """The instance ended before the generation did."""

    status, error_type = 500, "incomplete_generation"

    def __init__(self, message: str = "Incomplete generation") -> None:
        super().__init__(message)


class Unhealthy(EngineFault):
    """The pod is not ready for requests."""

    status, error_type = 503, "healthcheck"


class Unauthorized(EngineFault):
    """The key is missing or wrong."""

    status, error_type = 401, "unauthorized"


class NotFound(EngineFault):
    """There is no such route or adapter."""

    status, error_type = 404, "not_found"


class MethodNotAllowed(EngineFault):
    """The route exists, for another method."""

    status, error_type = 405, "method_not_allowed"


class MalformedBody(EngineFault):
    """The body cannot be read as what the route takes."""

    status, error_type = 400, "malformed"


class BodyTooLarge(EngineFault):
    """The body is larger than the route allows."""

    status, error_type = 413, "too_large"


class InvalidAdapter(EngineFault):
    """The uploaded adapter is not one this pod may load."""

    status, error_type = 422, "validation"
    prefix = "Adapter refused: "


class CannotStart(Exception):
    """The pod cannot start; the message is one sentence for the person at the command line."""
