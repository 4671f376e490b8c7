"""What command lines share: Python files of users, errors as exit codes."""

import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from kseq.checks import Unquoted, raise_invalid


def check_parses(argument: str, path: Path) -> None:
    """Refuse what is no Python file."""
    if not path.is_file():
        raise_invalid(argument, "a Python file", str(path))
    try:
        compile(path.read_bytes(), str(path), "exec")
    except (SyntaxError, ValueError) as error:
        raise_invalid(argument, "a Python file", Unquoted(f"{path}: {error}"))


def load_script(argument: str, path: Path, prefix: str) -> ModuleType:
    """A Python file as a module, whose name begins with `prefix`."""
    check_parses(argument, path)
    # A name of its own: a file keras.py must not take keras's place.
    name = f"{prefix}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise_invalid(argument, "a Python file", str(path))
    loaded = importlib.util.module_from_spec(spec)
    # Registered, as in any import, so that its classes can be saved; and able
    # to import what lies beside it.
    sys.modules[name] = loaded
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        spec.loader.exec_module(loaded)
    except BaseException:
        del sys.modules[name]
        raise
    return loaded


def exit_code(command: Callable[[], int]) -> int:
    """A command's own exit code, or 2 for an error, which is printed."""
    try:
        return int(command())
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    except Exception:
        traceback.print_exc()
    return 2
