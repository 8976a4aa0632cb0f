"""What every model of the configuration has in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(min_length=1)]


class Model(BaseModel):
    """Unknown keys and values of another type are refused, and no error repeats a value.

    The docstring below a field is its description in the JSON Schema and in the reference. They are
    read when the schema is asked for: reading them takes longer than all else about the models.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        hide_input_in_errors=True,
        defer_build=True,
    )
