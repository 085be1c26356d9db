"""Everything that can go wrong on the data plane, as OpenAI's clients see it."""

from kernel.errors import DomainError


class GatewayFault(DomainError):
    """A refusal or failure of the data plane; `retry_after_seconds` where waiting helps."""

    def __init__(
        self, message: str | None = None, param: str | None = None, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message, param=param)
        self.retry_after_seconds = retry_after_seconds
        # Further headers of the answer.
        self.headers: list[tuple[bytes, bytes]] = []


class InvalidRequest(GatewayFault):
    """The caller can mend this."""

    status, code = 400, "invalid_request"


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


class PreviousResponseNotFound(InvalidRequest):
    """The response to be continued, or one that it continues, is not stored in this project."""

    code = "previous_response_not_found"


class ResponsesNotStored(InvalidRequest):
    """It was asked to store a response where none is."""

    code = "responses_not_stored"


class ContentPolicyViolation(InvalidRequest):
    """The deployment's policy does not let the prompt pass."""

    code = "content_policy_violation"


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

    status, code = 401, "invalid_api_key"


class MismatchedProject(GatewayFault):
    """The key belongs to another project than the header names."""

    status, code = 401, "mismatched_project"


class MismatchedOrganization(GatewayFault):
    """The key belongs to another organization than the header names."""

    status, code = 401, "mismatched_organization"


class PermissionMissing(GatewayFault):
    """The key may not do this."""

    status, code = 403, "insufficient_permissions"


class AddressNotAllowed(GatewayFault):
    """The key is bound to networks, and the request comes from none of them."""

    status, code = 401, "ip_not_authorized"


class Refused(GatewayFault):
    """The organization, the project or the key's maker is out of service; the control plane says why."""

    status, code = 403, "refused"

    def __init__(self, code: str, message: str, status: int = 403) -> None:
        super().__init__(message)
        self.code, self.status = code, status


class ModelNotAllowed(GatewayFault):
    """The project or the key may not use the model, whether or not there is one."""

    status, code = 403, "model_not_found"


class UnknownRoute(GatewayFault):
    """Nothing is served at this path."""

    status, code = 404, "unknown_url"


class MethodNotAllowed(GatewayFault):
    """The path exists, the method does not."""

    status, code = 405, "method_not_supported"


class ModelNotFound(GatewayFault):
    """No such model in this project; another project's model looks the same."""

    status, code = 404, "model_not_found"


class ModelOverloaded(GatewayFault):
    """The pod takes no more requests now."""

    status, code = 429, "model_overloaded"


class LimitReached(GatewayFault):
    """A limit of the organization, or of a project, group, member or key of it; `param` is its kind."""

    status, code = 429, "limit_reached"


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


class ResponseStoreUnavailable(GatewayFault):
    """What stores responses does not answer."""

    status, code = 503, "response_store_unavailable"


class ModelUnreachable(GatewayFault):
    """No connection to the pod."""

    status, code = 503, "model_unreachable"


class ModelTimedOut(GatewayFault):
    """The pod did not produce a token in time."""

    status, code = 504, "model_timeout"


class ModelFailed(GatewayFault):
    """The pod broke off or answered nonsense."""

    status, code = 502, "model_failed"


class AnswerWithheld(GatewayFault):
    """The deployment's policy ended the answer, and the API has no word for that."""

    status, code = 502, "content_filter"


class AdapterMismatch(GatewayFault):
    """Another model than the one asked for answered; nothing of it is shown."""

    status, code = 502, "adapter_mismatch"
