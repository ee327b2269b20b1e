"""The error with which the demo ends early, in one line for people."""

from __future__ import annotations


class DemoError(Exception):
    """The demo cannot do its job; the message says why and what to do."""
