"""Memory of a computation by the tensors alive in it: exact, and the same on every machine."""

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveStorage(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While active, counts the bytes of every tensor storage that an operation makes until nothing refers to it.

    Views share their storage and count once, and views of tensors made before do not count at all; what autograd saved for the backward pass counts as long as the graph
    holds it. Scratch space inside a kernel never becomes a tensor and is not seen.
    """

    current_bytes: int
    """Live now."""
    peak_bytes: int
    """The most that was ever live."""

    def __init__(self, already_live: Sequence[torch.Tensor] = ()) -> None:
        """Start with the storages of `already_live`, for instance a computation's inputs."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.current_bytes = self.peak_bytes = 0
        self._known: dict[int, weakref.finalize[Any, Any]] = {}
        for tensor in already_live:
            self._add(tensor)

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the operation and count what it returns."""
        given = {
            leaf.untyped_storage()._cdata for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)
        }
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor) and leaf.untyped_storage()._cdata not in given:
                self._add(leaf)
        return result

    def _add(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        identity = storage._cdata
        if identity in self._known:
            return
        size = storage.nbytes()
        # The Python object of a storage lives as long as the storage itself, so its end is the storage's end.
        self._known[identity] = weakref.finalize(storage, self._remove, identity, size)
        self.current_bytes += size
        self.peak_bytes = max(self.peak_bytes, self.current_bytes)

    def _remove(self, identity: int, size: int) -> None:
        del self._known[identity]
        self.current_bytes -= size
