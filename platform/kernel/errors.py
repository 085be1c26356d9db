"""The error model: every fault a caller can meet is a declared exception with a stable code."""


class DomainError(Exception):
    """A fault that a caller can act on.

    Subclasses declare `code` (stable, for programs), `status` (HTTP) and `message` (one sentence: what
    happened and what to do). `param` names the part of the request at fault, as OpenAI's API does.
    """

    code = "internal_error"
    status = 500
    message = "Something went wrong on our side; try again."
    retry_after_seconds: float | None = None

    def __init__(
        self, message: str | None = None, *, param: str | None = None, code: str | None = None
    ) -> None:
        self.message = message or type(self).message
        self.param = param
        self.code = code or type(self).code
        super().__init__(self.message)

    @property
    def type(self) -> str:
        """OpenAI's `error.type` for this status."""
        by_status = {403: "permission_error", 429: "rate_limit_error"}
        if self.status in by_status:
            return by_status[self.status]
        return "server_error" if self.status >= 500 else "invalid_request_error"

    def body(self) -> dict[str, dict[str, str | None]]:
        """OpenAI's error object: `{"error": {"message", "type", "param", "code"}}`."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


class InvalidRequest(DomainError):
    """The request cannot be understood or breaks a rule."""

    code, status = "invalid_request", 400
    message = "The request is not valid."


class Unauthenticated(DomainError):
    """Nobody could be recognised."""

    code, status = "invalid_api_key", 401
    message = "Sign in, or send an API key in the header 'Authorization: Bearer lw_…'."


class PermissionDenied(DomainError):
    """The caller is known and may not do this."""

    code, status = "permission_denied", 403
    message = "Your role does not allow this."


class NotFound(DomainError):
    """It does not exist, or it is another organization's: the two are not told apart."""

    code, status = "not_found", 404
    message = "There is no such object."


class Conflict(DomainError):
    """The object is in a state that forbids the act."""

    code, status = "conflict", 409
    message = "The object is not in a state that allows this."


class PayloadTooLarge(DomainError):
    """More bytes than are accepted."""

    code, status = "payload_too_large", 413
    message = "The request is larger than is accepted."


class Unavailable(DomainError):
    """A part that is needed does not answer; a retry may work."""

    code, status = "unavailable", 503
    message = "A part of the service does not answer; try again in a few seconds."
    retry_after_seconds = 5
