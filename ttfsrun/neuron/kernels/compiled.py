"""Compilation by numba with a cache on disk, so that only the first process on a kind of machine compiles."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from functools import cache, wraps
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.compiler_lock import global_compiler_lock
from numba.core.sigutils import normalize_signature

from ttfsrun.files import user_cache
from ttfsrun.neuron.kernels.lanes import lane_count

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile a function at its first call with each combination of types. It runs without the GIL.

    The function must not create arrays, only use its arguments. Then numba need not count references to arrays, which
    costs more than a walk over a few inputs.

    Division by zero gives inf or nan as in IEEE 754. Floating-point operations are never reordered or fused, so
    the result does not depend on the width of the processor's vectors.
    """
    return _dispatcher(function)


def inlined(function: F) -> F:
    """Like `compiled`, for a function that only compiled ones call: it becomes part of them, however long it is.

    A call with vectors and arrays writes up to a hundred words to the stack.
    """
    return _dispatcher(function, forceinline=True)


def _dispatcher(function: F, **options: bool) -> F:
    with _settings(DISABLE_JIT=0):
        dispatcher = numba.njit(nogil=True, error_model="numpy", _nrt=False, **options)(function)
    with _settings(CACHE_DIR=cache_folder(Path(function.__code__.co_filename))):
        dispatcher._cache = _KernelCache(function)
    dispatcher.compile = _compile_by(dispatcher.compile)
    return dispatcher  # type: ignore[no-any-return]


def _compile_by(compile_signature: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the `compile` of a dispatcher, also for users who debug code of their own with NUMBA_DISABLE_JIT=1.

    Loops of code for one lane stay as they are, since it is for threads that compute one neuron each.
    """

    @wraps(compile_signature)
    def compile_with_settings(signature: Any) -> Any:
        arguments, _ = normalize_signature(signature)
        one_lane = any(lane_count(kind) == 1 for kind in arguments)
        with global_compiler_lock, _settings(DISABLE_JIT=0, **({"LOOP_VECTORIZE": 0} if one_lane else {})):
            return compile_signature(signature)

    return compile_with_settings


@contextlib.contextmanager
def _settings(**values: Any) -> Iterator[None]:
    """Give numba's settings these values during the block."""
    before = {name: getattr(numba.config, name) for name in values}
    vars(numba.config).update(values)
    try:
        yield
    finally:
        vars(numba.config).update(before)


class _KernelCache(FunctionCache):  # type: ignore[misc]
    """Numba's cache, except that compiled code is used even if it cannot be written, for example on a full disk."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file.__class__ = _FilePerSignature

    def save_overload(self, signature: Any, data: Any) -> None:
        with contextlib.suppress(OSError):
            super().save_overload(signature, data)

    def _index_key(self, signature: Any, codegen: Any) -> Any:
        """Return what distinguishes compiled code in the folder of a source; numba's own key differs by process."""
        return signature, codegen.magic_tuple(), name_of(self._py_func)


def name_of(function: Callable[..., Any]) -> str:
    """Return a name that two functions of one file share only if their code is the same.

    A function that is defined in another one may use compiled functions, numbers and texts of that one.
    """
    names = [function.__qualname__]
    for cell in function.__closure__ or ():
        value = getattr(cell.cell_contents, "py_func", cell.cell_contents)
        names.append(f"{value.__module__}.{name_of(value)}" if callable(value) else repr(value))
    return " ".join(names)


class _FilePerSignature(IndexDataCacheFile):  # type: ignore[misc]
    """One cache file per combination of types, written atomically.

    Numba itself writes an index of numbered files. Two processes that compile for different types at the same time
    both take the next number; then one finds the other's code under its own index entry, and runs it. The index also
    records the state of the source; here, the name of the folder does.
    """

    def save(self, key: Any, data: Any) -> None:
        self._save_data(self._file(key), (key, data))

    def load(self, key: Any) -> Any:
        try:
            stored_key, data = self._load_data(self._file(key))
        except Exception:  # noqa: BLE001  # a damaged file may raise anything; then the code is compiled again
            return None
        return data if stored_key == key else None

    def _file(self, key: Any) -> str:
        digest = hashlib.sha256(repr((numba.__version__, key)).encode()).hexdigest()[:24]
        return f"{Path(self._index_name).stem}.{digest}.nbc"


def compiled_before() -> bool:
    """Return whether compiled code of this source is on disk; if not, the first calls take some seconds."""
    return any(Path(cache_folder(Path(__file__))).rglob("*.nbc"))


@cache
def cache_folder(source: Path) -> str:
    """Return the folder of the code compiled from a file, one for each state of that file and of all kernels.

    Numba itself only checks the file of the function: it would use code that was compiled with an earlier version of
    the functions that it calls.
    """
    digest = hashlib.sha256()
    for path in sorted({source, *Path(__file__).parent.rglob("*.py")}):
        digest.update(path.read_bytes())
    root = Path(numba.config.CACHE_DIR) if numba.config.CACHE_DIR else user_cache() / "kernels"
    folder = root / digest.hexdigest()[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK | os.X_OK):
            return str(folder)
    except OSError:
        pass
    return _private_folder()


@cache
def _private_folder() -> str:
    """Return a new folder for this process, which only this user can access: cached code is executed."""
    folder = tempfile.TemporaryDirectory(prefix="ttfsrun-")
    atexit.register(folder.cleanup)
    return folder.name
