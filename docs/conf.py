"""The documentation site: `sphinx-build -W -n -b html docs build/site`.

It needs pypeln itself (the reference is its docstrings) and the packages of the `docs` extra, and no network.
"""

from __future__ import annotations

from typing import Any

import pypeln

project = "pypeln"
author = "The pypeln developers"
copyright = "The pypeln developers"  # the name that Sphinx reads
version = release = pypeln.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]

nitpick_ignore = [("py:exc", "queue.Empty"), ("py:exc", "queue.Full")]  # of the standard library

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3  # so that `page.md#a-heading` leads somewhere

# Docstrings use `single` quotes for code, as the comments of the code do.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # what an argument is stands in words beside it
napoleon_use_ivar = True
napoleon_use_rtype = False
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"pypeln {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#7438c9", "color-brand-content": "#7438c9"},
    "dark_css_variables": {"color-brand-primary": "#b68cf9", "color-brand-content": "#b68cf9"},
}
pygments_style = "default"
pygments_dark_style = "github-dark"


# Public names of classes that each kind of worker has its own of: the reference shows them under these.
pypeln.th.IterableQueue.__name__ = "IterableQueue"
pypeln.pr.IterableQueue.__name__ = "IterableQueue"
pypeln.io.IterableQueue.__name__ = "IterableQueue"
pypeln.th.Namespace.__name__ = "Namespace"


def simpler_signature(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Without what nobody writes: the default of a left-out stage, the constructors of stages and figures."""
    if obj in (pypeln.Stage, pypeln.IoStage, pypeln.StageStats, pypeln.MemoryStats):
        return "", None
    return signature and signature.replace("=<undefined>", "=..."), returns


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-signature", simpler_signature)
