"""How our REST views describe themselves in OpenAPI."""

from drf_spectacular.openapi import AutoSchema


class EndpointSchema(AutoSchema):
    """Names the operations of plural views `…_list`, since their pages are objects and not arrays."""

    def get_operation_id(self) -> str:
        identifier = str(super().get_operation_id())
        if self.method == "GET" and type(self.view).__name__.endswith("sView"):
            return identifier.removesuffix("_retrieve") + "_list"
        return identifier
