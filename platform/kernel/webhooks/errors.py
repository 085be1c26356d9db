"""What can be wrong with webhooks."""

from kernel.errors import Conflict, InvalidRequest, NotFound


class UnknownEvent(InvalidRequest):
    """A pattern that no event's name matches."""

    code = "unknown_event"


class TooManyWebhooks(Conflict):
    """The organization has as many as it may."""

    code = "webhook_limit_reached"


class WebhookUnknown(NotFound):
    """There is no such webhook, or delivery, here."""

    message = "There is no such webhook."


class WebhookDisabled(Conflict):
    """Nothing is sent to an endpoint that is disabled."""

    code = "webhook_disabled"
    message = "The webhook is disabled; enable it first."
