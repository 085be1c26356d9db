"""A model server's faults as the gateway's own, without the server's internals."""

from inference.backends import faults as backend
from inference.gateway.faults import (
    AdapterMismatch,
    ContextLengthExceeded,
    GatewayFault,
    InvalidRequest,
    ModelFailed,
    ModelNotReady,
    ModelOverloaded,
    ModelTimedOut,
    ModelUnreachable,
)
from inference.gateway.planning.prompts import too_long
from inference.gateway.routing.waiting import NoTurn

_MAX_MESSAGE = 300


def gateway_fault(fault: backend.BackendFault, subject: str = "messages") -> GatewayFault:
    """What the caller is told; `subject` is the parameter that holds what the model was given to read."""
    if isinstance(fault, backend.TooLong):
        return _too_long(fault, subject)
    if isinstance(fault, backend.Refused):
        return InvalidRequest(f"The model refused the request: {fault.message[:_MAX_MESSAGE]}")
    if isinstance(fault, backend.UnknownAdapter):
        return ModelNotReady(
            "The model is not loaded yet. Please retry shortly.",
            retry_after_seconds=fault.retry_after_seconds,
        )
    if isinstance(fault, NoTurn):
        return ModelOverloaded(fault.message, retry_after_seconds=fault.retry_after_seconds)
    if isinstance(fault, backend.Overloaded):
        return ModelOverloaded(
            "The model is currently overloaded with other requests. Please retry shortly.",
            retry_after_seconds=fault.retry_after_seconds or 1,
        )
    return _failure(fault)


def _failure(fault: backend.BackendFault) -> GatewayFault:
    if isinstance(fault, backend.Unreachable):
        return ModelUnreachable(
            "The model cannot be reached at the moment.", retry_after_seconds=fault.retry_after_seconds or 2
        )
    if isinstance(fault, backend.TimedOut):
        return ModelTimedOut("The model did not answer in time.", retry_after_seconds=2)
    if isinstance(fault, backend.OtherModel):
        return AdapterMismatch("Another model than the one asked for answered; it is not shown.")
    return ModelFailed("The model failed while it generated the answer.")


def _too_long(fault: backend.TooLong, subject: str) -> GatewayFault:
    if fault.context_tokens is None or fault.prompt_tokens is None:
        return ContextLengthExceeded(fault.message[:_MAX_MESSAGE], param=subject)
    return too_long(fault.context_tokens, fault.prompt_tokens, fault.answer_tokens or 0, subject)
