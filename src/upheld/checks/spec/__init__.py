"""The quality of the OpenAPI document itself."""
