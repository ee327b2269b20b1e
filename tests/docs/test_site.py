"""The site builds: without network, without a warning, and with all of its pages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.markdown import ENVIRONMENT, ROOT

# What the `docs` extra brings. Who has not installed it builds no site; .ci/run has.
pytest.importorskip("furo", reason="the `docs` extra is not installed")

DOCS = ROOT / "docs"
BUILD_TIMEOUT_S = 300


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    site = tmp_path / "site"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-n", "-b", "html"),
            *("-d", str(tmp_path / "doctrees"), str(DOCS), str(site)),
        ],
        env=ENVIRONMENT,
        cwd=tmp_path,  # not the source tree, which is not built
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
    )
    assert (done.returncode, done.stderr) == (0, "")
    for page in DOCS.rglob("*.md"):
        assert (site / page.relative_to(DOCS)).with_suffix(".html").exists()
    index = (site / "index.html").read_text(encoding="utf-8")
    # It can be read where there is no network.
    assert not [
        each for each in ('src="http', 'rel="stylesheet" type="text/css" href="http') if each in index
    ]
