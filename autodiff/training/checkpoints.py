"""Nested dictionaries and lists of arrays and numbers in one ``.npz`` file, without pickle.

Arrays are members of the archive; everything else is one JSON text whose floats are written so
that they are read back exactly.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

STRUCTURE = "structure"


def save_tree(path: Any, tree: Any) -> None:
    """Write ``tree`` to ``path``; a file that is there is replaced only when all is written.

    Raises TypeError for a leaf that is no array, number, string, truth value or None.
    """
    arrays: dict[str, Any] = {}
    arrays[STRUCTURE] = np.array(json.dumps(_described(tree, "", arrays)))
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(temporary, "wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load_tree(path: Any) -> Any:
    """What :func:`save_tree` wrote; tuples come back as lists, keys of dictionaries as strings.

    Raises ValueError for a file that it did not write.
    """
    with np.load(path, allow_pickle=False) as archive:
        if STRUCTURE not in archive:
            raise ValueError(f"{path} is no checkpoint: it has no member {STRUCTURE!r}")
        return _restored(json.loads(str(archive[STRUCTURE])), archive)


def _described(tree: Any, path: str, arrays: dict[str, Any]) -> Any:
    if isinstance(tree, dict):
        return {"dict": {str(k): _described(v, f"{path}/{k}", arrays) for k, v in tree.items()}}
    if isinstance(tree, (list, tuple)):
        return [_described(v, f"{path}/{k}", arrays) for k, v in enumerate(tree)]
    if isinstance(tree, np.ndarray):
        if tree.dtype.hasobject:
            raise TypeError(f"checkpoint: the array {path} holds Python objects")
        name = path.strip("/") or "array"
        arrays[name] = tree
        return {"array": name}
    if isinstance(tree, np.generic):
        tree = tree.item()
    if tree is None or isinstance(tree, (bool, int, float, str)):
        return tree
    raise TypeError(f"checkpoint: {path} is a {type(tree).__name__}, no array, number or string")


def _restored(node: Any, archive: Any) -> Any:
    if isinstance(node, list):
        return [_restored(item, archive) for item in node]
    if isinstance(node, dict):
        if "array" in node:
            return archive[node["array"]]
        return {key: _restored(item, archive) for key, item in node["dict"].items()}
    return node
