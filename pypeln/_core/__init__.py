"""The compiled modules. Each has one state for all of a process, so that one interpreter can have it."""

from importlib import import_module


def _in_subinterpreter() -> bool:
    for name in ("_interpreters", "_xxsubinterpreters"):  # the second until CPython 3.12
        try:
            interpreters = import_module(name)
        except ImportError:
            continue
        return bool(interpreters.get_current() != interpreters.get_main())
    return False


try:
    import_module("pypeln._core.memory")  # all others import it
except ImportError as error:
    if not _in_subinterpreter():
        if not isinstance(error, ModuleNotFoundError) or error.name != "pypeln._core.memory":
            raise
        # What people meet who have installed pypeln from a copy of the repository and start Python in it.
        raise ImportError(
            f"the compiled modules of pypeln are not in {__path__[0]}. If that is a copy of the repository, "
            "start Python in another folder, where it finds the installed package (and `pytest` instead of "
            "`python -m pytest`). To work on pypeln itself, build them in place: see CONTRIBUTING.md"
        ) from None
    raise ImportError(
        "pypeln cannot be used in a subinterpreter: its compiled modules belong to the main interpreter. "
        "Import it there, and use threads or processes for what should run side by side"
    ) from error
