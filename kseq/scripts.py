"""Helpers of the command lines: load a user's script, set the exit code."""

import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from kseq.checks import Unquoted, raise_invalid


def check_parses(argument: str, path: Path) -> None:
    """Check that a file exists and is valid Python."""
    if not path.is_file():
        raise_invalid(argument, "a Python file", str(path))
    try:
        compile(path.read_bytes(), str(path), "exec")
    except (SyntaxError, ValueError) as error:
        raise_invalid(argument, "a Python file", Unquoted(f"{path}: {error}"))


def load_script(argument: str, path: Path, prefix: str) -> ModuleType:
    """Import a Python file as the module `<prefix>_<file name>`.

    While it runs, it can import modules from its own folder.
    """
    check_parses(argument, path)
    # The prefix keeps a file `keras.py` from replacing Keras.
    name = f"{prefix}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise_invalid(argument, "a Python file", str(path))
    # Not `runpy.run_path`: torch.compile imports a layer's module by its name.
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    folder = str(path.resolve().parent)
    sys.path.append(folder)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        sys.path.remove(folder)
    return module


def exit_code(command: Callable[[], int]) -> int:
    """Run a command; print an error, if any, and return 2 for it."""
    try:
        return int(command())
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    except Exception:
        traceback.print_exc()
    return 2
