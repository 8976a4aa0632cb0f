"""The configuration file: read once, checked whole, turned into the frozen nouns of the model."""

from bridge.config.load import Configuration, load
from bridge.config.schema import json_schema

__all__ = ["Configuration", "json_schema", "load"]
