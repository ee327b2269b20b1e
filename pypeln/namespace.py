"""Values that the workers of a pipeline share by name, and a lock over them."""

from __future__ import annotations

from typing import Any, TypeVar

from pypeln.shared_file import SharedFile
from pypeln.turn import Turn

Self_ = TypeVar("Self_", bound="_Locked")


class _Locked:
    """What `with` and `async with` do for every namespace."""

    __slots__ = ("__weakref__", "_lock")

    _lock: Turn | SharedFile

    def __enter__(self: Self_) -> Self_:
        self._lock.acquire()
        return self

    def __exit__(self, *error: object) -> None:
        self._lock.release()

    async def __aenter__(self: Self_) -> Self_:
        await self._lock.acquire_async()
        return self

    async def __aexit__(self, *error: object) -> None:
        self._lock.release()


class LocalNamespace(_Locked):
    """Named values that threads, tasks and the consumer share; any object.

    Attributes are set, read and deleted as of any object. `with namespace:` keeps all others out of their own
    `with`, so that several steps are one; a thread may nest it. Coroutines use `async with`.

    Args:
        values: The first values, by name.

    Example:
        >>> from pypeln import th
        >>> total = th.Namespace(count=0)
        >>> def add(x):
        ...     with total:
        ...         total.count += x
        >>> th.each(add, [1, 2, 3], workers=2, run=True)
        >>> total.count
        6
    """

    __slots__ = ("_values",)

    _values: dict[str, Any]

    def __init__(self, **values: Any) -> None:
        object.__setattr__(self, "_lock", Turn())
        object.__setattr__(self, "_values", values)

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise _missing(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self._values[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self._values[name]
        except KeyError:
            raise _missing(name) from None

    def __reduce__(self) -> Any:
        raise TypeError(
            "this Namespace lives in one process and cannot be sent to another; use pypeln.pr.Namespace"
        )

    def __repr__(self) -> str:
        return f"Namespace({', '.join(f'{name}={value!r}' for name, value in self._values.items())})"


class Namespace(_Locked):
    """Named values that processes share, and the threads and tasks in them; whatever can be pickled.

    As a `th.Namespace`, and it may be sent to other processes: in a closure, with `on_start`, as an element.
    What is read is a copy: to change a list in it, read it, change it and set it again.

    Args:
        values: The first values, by name.

    Raises:
        TypeError: A value cannot be pickled.

    Example:
        >>> from pypeln import pr
        >>> total = pr.Namespace(count=0)
        >>> def add(x):
        ...     with total:
        ...         total.count += x
        >>> pr.each(add, [1, 2, 3], workers=2, run=True)
        >>> total.count
        6
    """

    __slots__ = ()

    _lock: SharedFile  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, **values: Any) -> None:
        object.__setattr__(self, "_lock", SharedFile.create())
        self._lock.update({name: _pickled(name, value) for name, value in values.items()}, ())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # copy and pickle look for methods this way
            raise _missing(name)
        import pickle

        try:
            return pickle.loads(self._lock.read()[name])
        except KeyError:
            raise _missing(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self._lock.update({name: _pickled(name, value)}, ())

    def __delattr__(self, name: str) -> None:
        try:
            self._lock.update({}, (name,))
        except KeyError:
            raise _missing(name) from None

    def __reduce__(self) -> Any:
        return _attached, (self._lock.token, self._lock.address())

    def __repr__(self) -> str:
        import pickle

        values = ((name, pickle.loads(value)) for name, value in self._lock.read().items())
        return f"Namespace({', '.join(f'{name}={value!r}' for name, value in values)})"


def _attached(token: bytes, address: Any) -> Namespace:
    """The namespace that another process, or this one, has sent."""
    namespace = Namespace.__new__(Namespace)
    object.__setattr__(namespace, "_lock", SharedFile.found(token, address))
    return namespace


def _missing(name: str) -> AttributeError:
    return AttributeError(
        f"the Namespace has no attribute {name!r}; set it first, or give it to Namespace(...)"
    )


def _pickled(name: str, value: Any) -> bytes:
    import pickle

    try:
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError):
        from pypeln import by_value

        try:
            return by_value.dumps(value)
        except Exception as error:
            raise TypeError(
                f"attribute {name!r} of the Namespace cannot be shared with other processes: "
                f"{type(value).__name__} cannot be pickled ({error}); if only threads need it, "
                "use th.Namespace"
            ) from error
