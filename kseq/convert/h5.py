"""Weights in the HDF5 files of Keras 2, read without TensorFlow."""

import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from kseq.checks import Unquoted, raise_invalid


@dataclass(frozen=True, eq=False)
class StoredLayer:
    """A layer's name, and its arrays by their names, in the file's order."""

    name: str
    weights: dict[str, Any]

    def path(self, weight: str) -> str:
        """The layer's name and the array's: not all of these begin with it."""
        return f"{self.name}/{weight.partition('/')[2] or weight}"


def read_layers(filepath: Any) -> list[StoredLayer]:
    """The layers of a file that `save_weights` or `save` wrote.

    Raises:
        ValueError: there is no such file, or it is no whole one of that kind.
    """
    path = _check_file(filepath)
    try:
        with h5py.File(path, "r") as file:
            held = sorted(file)
            root = file.get("model_weights", file)
            names = _names(root, "layer_names")
            layers = [_read_layer(root, name) for name in names]
    # What h5py raises depends on where a file is damaged.
    except Exception as error:
        raise_invalid(
            "filepath", "a whole HDF5 file", Unquoted(f"{path}: {error}")
        )
    if not layers:
        raise_invalid(
            "filepath",
            "a file that Keras 2 wrote (save_weights, or save), with "
            "layer_names among its attributes",
            Unquoted(f"{path}, which holds {held[:9]}"),
        )
    return layers


def _check_file(filepath: Any) -> Path:
    if not isinstance(filepath, (str, os.PathLike)):
        raise_invalid("filepath", "the path of an HDF5 file", filepath)
    path = Path(filepath)
    if path.is_file():
        return path
    other = "which does not exist"
    if path.is_dir():
        other = "a directory (a SavedModel?)"
    elif path.with_name(f"{path.name}.index").is_file():
        other = "a TensorFlow checkpoint"
    raise_invalid(
        "filepath",
        "an HDF5 file, as save_weights writes it to a path that ends with .h5",
        Unquoted(f"{path}, {other}"),
    )


def _names(group: Any, attribute: str) -> list[str]:
    """An attribute that lists names; Keras writes a long one in parts."""
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
        name, {weight: _read(group[weight], root) for weight in names}
    )


def _read(dataset: Any, root: Any) -> Any:
    # HDF5 would follow a path to any other file of this machine.
    linked = dataset.file.filename != root.file.filename
    if linked or dataset.external or dataset.is_virtual:
        raise ValueError(f"the numbers of {dataset.name} lie in another file")
    return dataset[()]
