"""Read weights from HDF5 files of Keras 2, without TensorFlow."""

import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from kseq.checks import Unquoted, raise_invalid


@dataclass(frozen=True, eq=False)
class StoredLayer:
    """A layer of a file: its name, and its arrays by name in file order."""

    name: str
    weights: dict[str, Any]

    def path(self, weight: str) -> str:
        """Layer and array name; not every array name starts with the layer."""
        return f"{self.name}/{weight.partition('/')[2] or weight}"


def read_layers(filepath: Any) -> list[StoredLayer]:
    """Read the layers of a file that `save_weights` or `save` wrote.

    Raises:
        ValueError: the file is missing, damaged or of another kind.
    """
    path = _check_file(filepath)
    try:
        with h5py.File(path, "r") as file:
            members = sorted(file)
            root = file.get("model_weights", file)
            names = _names(root, "layer_names")
            layers = [_read_layer(root, name) for name in names]
    # The exception depends on where the file is damaged.
    except Exception as error:
        raise_invalid(
            "filepath", "a valid HDF5 file", Unquoted(f"{path}: {error}")
        )
    if not layers:
        raise_invalid(
            "filepath",
            "a file that Keras 2 wrote (save_weights, or save), with "
            "layer_names among its attributes",
            Unquoted(f"{path}, which contains {members[:9]}"),
        )
    return layers


def _check_file(filepath: Any) -> Path:
    if not isinstance(filepath, (str, os.PathLike)):
        raise_invalid("filepath", "the path of an HDF5 file", filepath)
    path = Path(filepath)
    if path.is_file():
        return path
    problem = "which does not exist"
    if path.is_dir():
        problem = "a directory (a SavedModel?)"
    elif path.with_name(f"{path.name}.index").is_file():
        problem = "a TensorFlow checkpoint"
    raise_invalid(
        "filepath",
        "an HDF5 file, as save_weights writes it to a path that ends with .h5",
        Unquoted(f"{path}, {problem}"),
    )


def _names(group: Any, attribute: str) -> list[str]:
    """Read a list of names; Keras splits long lists into parts."""
    if attribute in group.attrs:
        return _texts(group.attrs[attribute])
    names: list[str] = []
    numbers = itertools.count()
    while (part := f"{attribute}{next(numbers)}") in group.attrs:
        names += _texts(group.attrs[part])
    return names


def _texts(names: Any) -> list[str]:
    return [n.decode() if isinstance(n, bytes) else str(n) for n in names]


def _read_layer(root: Any, name: str) -> StoredLayer:
    group = root[name]
    names = _names(group, "weight_names")
    return StoredLayer(
        name, {weight: _read_array(group[weight], root) for weight in names}
    )


def _read_array(dataset: Any, root: Any) -> Any:
    # A malicious file could make HDF5 read any other file of this machine.
    linked = dataset.file.filename != root.file.filename
    if linked or dataset.external or dataset.is_virtual:
        raise ValueError(f"the data of {dataset.name} are in another file")
    return dataset[()]
