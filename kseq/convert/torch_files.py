"""Read the files of `torch.save(model.state_dict(), ...)`, without PyTorch.

Such a file is a ZIP archive of a pickle, which names the tensors, and of their
bytes. Only the few names that a dict of tensors consists of are unpickled, and
none of them runs code of the file.
"""

import functools
import io
import math
import pickle
import sys
import zipfile
from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kseq.checks import Unquoted, check_path, raise_invalid

DTYPES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "u2",  # the upper half of a float32
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
EXPECTED = "a file of torch.save(model.state_dict(), path)"


class _Storage(NamedTuple):
    numbers: NDArray[Any]


def read_state_dict(filepath: Any) -> dict[str, NDArray[Any]]:
    """Read a PyTorch file of a dict of tensors as NumPy arrays.

    No code of the file runs. PyTorch is not needed.

    Args:
        filepath: a file that PyTorch 1.6 or newer wrote with
            `torch.save(model.state_dict(), path)`, whatever its suffix.

    Returns:
        Arrays by name, in the file's order; bfloat16 as float32.

    Raises:
        ValueError: the file is missing, damaged, or holds something else, such
            as a whole model.

    Example:

    >>> from kseq.convert.torch_files import read_state_dict
    >>> read_state_dict("din.h5")
    Traceback (most recent call last):
        ...
    ValueError: filepath: expected a file of torch.save(model.state_dict(), \
path); received din.h5, which does not exist
    """
    path = check_path("filepath", filepath)
    if not path.is_file():
        kind = "a directory" if path.is_dir() else "which does not exist"
        raise_invalid("filepath", EXPECTED, Unquoted(f"{path}, {kind}"))
    try:
        with zipfile.ZipFile(path) as archive:
            found = _Unpickler(archive).load()
        if not isinstance(found, dict) or not found:
            raise ValueError(f"a {type(found).__name__}")
        for name, value in found.items():
            if not isinstance(name, str) or not isinstance(value, np.ndarray):
                raise ValueError(f"with {name!r}, a {type(value).__name__}")
    # The exception depends on where the file is damaged.
    except Exception as error:
        raise_invalid("filepath", EXPECTED, Unquoted(f"{path}: {error}"))
    return dict(found)


class _Unpickler(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile) -> None:
        names = archive.namelist()
        (pickled,) = (n for n in names if n.endswith("/data.pkl"))
        self.archive, self.folder = archive, pickled.removesuffix("data.pkl")
        self.byteorder: str = sys.byteorder
        if f"{self.folder}byteorder" in names:
            self.byteorder = self.read("byteorder").decode()
        if self.byteorder not in ("little", "big"):
            raise ValueError(f"byteorder {self.byteorder!r}")
        self.storages: dict[tuple[str, str], _Storage] = {}
        super().__init__(io.BytesIO(self.read("data.pkl")))

    def read(self, name: str) -> bytes:
        member = self.archive.getinfo(self.folder + name)
        # PyTorch compresses nothing; a small file could fill the memory.
        if member.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{name} is compressed")
        return self.archive.read(member)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            # Not the function itself: a pickle can set attributes of it.
            return functools.partial(_tensor)
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return functools.partial(_parameter)
        if module == "torch" and name in DTYPES:
            return name
        raise ValueError(
            f"it contains {module}.{name}, which is not loaded (instead of "
            "a whole model, save model.state_dict())"
        )

    def persistent_load(self, pid: Any) -> _Storage:
        _, kind, key, *_ = pid
        if (kind, key) not in self.storages:
            dtype = np.dtype(DTYPES[kind]).newbyteorder(
                "<" if self.byteorder == "little" else ">"
            )
            numbers = np.frombuffer(self.read(f"data/{key}"), dtype)
            if kind == "BFloat16Storage":
                numbers = (numbers.astype("u4") << 16).view("f4")
            self.storages[kind, key] = _Storage(numbers)
        return self.storages[kind, key]


def _tensor(
    storage: _Storage, offset: int, shape: Any, strides: Any, *_: Any
) -> NDArray[Any]:
    numbers = storage.numbers
    if len(shape) != len(strides) or min(offset, *shape, *strides, 0) < 0:
        raise ValueError("a tensor has no valid sizes, strides and offset")
    # In Python's integers: NumPy's own check of strides can overflow.
    last = offset + sum(
        (n - 1) * stride for n, stride in zip(shape, strides, strict=True)
    )
    is_empty = 0 in shape
    if math.prod(shape) > numbers.size or (
        not is_empty and last >= numbers.size
    ):
        raise ValueError(f"a tensor {tuple(shape)} is larger than its storage")
    if is_empty:
        return np.empty(shape, numbers.dtype)
    size = numbers.itemsize
    # A view: many tensors of one storage take no memory.
    return np.ndarray(
        shape,
        numbers.dtype,
        numbers,
        offset * size,
        [stride * size for stride in strides],
    )


def _parameter(data: Any, *_: Any) -> Any:
    return data
