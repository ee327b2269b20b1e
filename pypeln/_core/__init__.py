"""Compiled modules, one per primitive of the native core.  They import nothing of pypeln but each other."""

try:
    import pypeln._core.memory  # noqa: F401 - to see whether it is there
except ModuleNotFoundError as error:
    if error.name != "pypeln._core.memory":
        raise
    # What people meet who have installed pypeln from a copy of the repository and start Python in it.
    raise ImportError(
        f"the compiled modules of pypeln are not in {__path__[0]}. If that is a copy of the repository, "
        "start Python in another folder, where it finds the installed package (and `pytest` instead of "
        "`python -m pytest`). To work on pypeln itself, build them in place: see CONTRIBUTING.md"
    ) from None
