"""What fault tests share."""

from __future__ import annotations

import sys

from support.process_fixtures import every_start_method, fork, only_this_test

__all__ = ["every_start_method", "fork", "only_this_test"]

if sys.platform != "linux":
    collect_ignore_glob = ["test_*"]  # the witness of what is left behind is /proc
