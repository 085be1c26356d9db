"""The gate in front of every REST view: closed unless the view names its permission."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request


class NamedPermission(BasePermission):
    """Lets through to views that name a permission (`Endpoint` then checks it); all others are closed."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return getattr(view, "permission", None) is not None
