"""Every address of the control plane. The gateway's are mounted before these, in `config.asgi`."""

from django.urls import include, path, re_path

from config import pages, probes, reference

urlpatterns = [
    path("livez", probes.livez),
    path("readyz", probes.readyz),
    path("healthz", probes.healthz),
    path("", include("tenants.identity.urls")),
    path("", include("tenants.administration.urls")),
    path("", include("tenants.access.urls")),
    path("", include("tenants.datasets.urls")),
    path("", include("tenants.compliance.urls")),
    path("", include("training.registry.urls")),
    path("", include("training.jobs.urls")),
    path("", include("inference.deployments.urls")),
    path("", include("inference.usage.urls")),
    path("", include("inference.chat.urls")),
    path("", include("inference.batches.urls")),
    path("", include("inference.responses.urls")),
    path("reference", reference.api_reference),
    path("reference/openapi.json", reference.document),
    path("", include("inference.prompts.urls")),
    re_path(r"^(?:v1|api|ws|scim)(?:/.*)?$", pages.unknown_address),
    re_path(r"^accounts(?:/.*)?$", pages.unknown_page),
    re_path(r"^(?P<path>.*)$", pages.console, name="console"),
]

handler404 = "config.pages.missing"
handler500 = "kernel.api.errors.crashed"
