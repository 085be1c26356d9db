"""What is answered to whoever a limit stops: which one, its value, what is used, and when it resets."""

import math
from datetime import datetime

from kernel.errors import DomainError, PermissionDenied
from tenants.limits.kinds import Bound


class LimitReached(DomainError):
    """A limit of a period is used up; `param` names its kind."""

    code, status = "limit_reached", 429

    def __init__(self, bound: Bound, *, used: int, now: datetime, resets: datetime) -> None:
        super().__init__(
            f"{title(bound)} is reached: {used} of {bound.value} are used. It resets at "
            f"{resets:%Y-%m-%d %H:%M:%S} UTC. Wait until then, or ask an administrator to raise it.",
            param=bound.kind.value,
            code=f"{bound.kind.value}_reached",
        )
        self.retry_after_seconds = max(1, math.ceil((resets - now).total_seconds()))


class StorageLimitReached(PermissionDenied):
    """There is no room for these bytes; no time makes any."""

    code = "storage_bytes_reached"

    def __init__(self, bound: Bound, *, used: int, wanted: int) -> None:
        super().__init__(
            f"{title(bound)} is reached: {used} of {bound.value} bytes are used and the file has {wanted}. "
            "It does not reset: delete files, or ask an administrator to raise the limit.",
            param=bound.kind.value,
        )


def title(bound: Bound) -> str:
    """The limit's name for a person."""
    of = "the plan" if bound.from_plan else f"the {bound.subject.scope.value}"
    return f"The limit '{bound.kind.value}' of {of}"
