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
        raise
    raise ImportError(
        "pypeln cannot be used in a subinterpreter: its compiled modules belong to the main interpreter. "
        "Import it there, and use threads or processes for what should run side by side"
    ) from error
