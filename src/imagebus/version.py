"""The version of this library, as installed."""

from importlib.metadata import version

VERSION = version("imagebus")
