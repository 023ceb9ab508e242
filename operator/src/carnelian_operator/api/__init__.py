"""The custom resources: pydantic models from which the definitions and the reference pages are generated."""
