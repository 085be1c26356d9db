"""Everything that can go wrong on the data plane, as OpenAI's clients see it."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(eq=False)
class GatewayFault(Exception):
    """A refusal or failure: HTTP status, type, code, a sentence, the parameter at fault, seconds to wait."""

    message: str
    param: str | None = None
    retry_after: int | None = None

    status: ClassVar[int] = 500
    code: ClassVar[str | None] = "internal_error"
    type: ClassVar[str] = "server_error"

    def __str__(self) -> str:
        return self.message

    def body(self) -> dict[str, dict[str, str | None]]:
        """OpenAI's error object."""
        return {
            "error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code},
        }


class InvalidRequest(GatewayFault):
    """The caller can mend this."""

    status, code, type = 400, "invalid_request", "invalid_request_error"


class InvalidJson(InvalidRequest):
    """The body is not JSON."""

    code = "invalid_json"


class MissingParameter(InvalidRequest):
    """A required parameter is absent."""

    code = "missing_required_parameter"


class InvalidType(InvalidRequest):
    """A parameter has the wrong JSON type."""

    code = "invalid_type"


class InvalidValue(InvalidRequest):
    """A parameter is out of range."""

    code = "invalid_value"


class UnknownParameter(InvalidRequest):
    """Not a parameter of this call."""

    code = "unknown_parameter"


class UnsupportedParameter(InvalidRequest):
    """Known to OpenAI's API, but this model cannot do it; refused so that nobody believes it was done."""

    code = "unsupported_parameter"


class ContextLengthExceeded(InvalidRequest):
    """Prompt and answer do not fit the model's context."""

    code = "context_length_exceeded"


class BodyTooLarge(InvalidRequest):
    """The body is larger than allowed."""

    status, code = 413, "request_too_large"


class BodyTimedOut(InvalidRequest):
    """The body did not arrive in time."""

    status, code = 408, "request_timeout"


class UnsupportedMediaType(InvalidRequest):
    """Not JSON by its content type, or compressed."""

    status, code = 415, "unsupported_media_type"


class InvalidApiKey(GatewayFault):
    """No key, a malformed one, an unknown one or an expired one."""

    status, code, type = 401, "invalid_api_key", "invalid_request_error"


class MismatchedProject(GatewayFault):
    """The key belongs to another project than the header names."""

    status, code, type = 401, "mismatched_project", "invalid_request_error"


class MismatchedOrganization(GatewayFault):
    """The key belongs to another organization than the header names."""

    status, code, type = 401, "mismatched_organization", "invalid_request_error"


class PermissionMissing(GatewayFault):
    """The key may not do this."""

    status, code, type = 403, "insufficient_permissions", "invalid_request_error"


class UnknownRoute(GatewayFault):
    """Nothing is served at this path."""

    status, code, type = 404, "unknown_url", "invalid_request_error"


class MethodNotAllowed(GatewayFault):
    """The path exists, the method does not."""

    status, code, type = 405, "method_not_supported", "invalid_request_error"


class ModelNotFound(GatewayFault):
    """No such model in this project; another project's model looks the same."""

    status, code, type = 404, "model_not_found", "invalid_request_error"


class ModelOverloaded(GatewayFault):
    """The pod takes no more requests now."""

    status, code, type = 429, "model_overloaded", "rate_limit_error"


class GatewayOverloaded(GatewayFault):
    """This process takes no more requests now."""

    status, code = 503, "gateway_overloaded"


class ModelNotReady(GatewayFault):
    """The deployment exists but does not answer yet."""

    status, code = 503, "model_not_ready"


class SnapshotUnavailable(GatewayFault):
    """Neither Valkey nor recent memory can say who this key is or what its project runs."""

    status, code = 503, "snapshot_unavailable"


class MeteringUnavailable(GatewayFault):
    """Usage can be recorded neither in Valkey nor on disk, so no tokens are given out."""

    status, code = 503, "metering_unavailable"


class ModelUnreachable(GatewayFault):
    """No connection to the pod."""

    status, code = 503, "model_unreachable"


class ModelTimedOut(GatewayFault):
    """The pod did not produce a token in time."""

    status, code = 504, "model_timeout"


class ModelFailed(GatewayFault):
    """The pod broke off or answered nonsense."""

    status, code = 502, "model_failed"


class AdapterMismatch(GatewayFault):
    """Another model than the one asked for answered; nothing of it is shown."""

    status, code = 502, "adapter_mismatch"
