"""State that is sharded over the processes of a trial (FSDP2's `fully_shard`), by torch.distributed.checkpoint.

Each process writes what it holds, and gets back what it held.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Optimizer


def is_sharded(part: Any) -> bool:
    """Say whether a part's state lies on several processes: a module with distributed tensors, or the optimizer of one."""
    if isinstance(part, nn.Module):
        return any(hasattr(weight, "device_mesh") for weight in part.parameters())
    if isinstance(part, Optimizer):
        return any(hasattr(weight, "device_mesh") for group in part.param_groups for weight in group["params"])
    return False


def save(place: Path, parts: Mapping[str, Any]) -> None:
    """Write the sharded parts below `place`; nothing where there are none."""
    if parts:
        from torch.distributed.checkpoint.state_dict_saver import save as save_shards

        save_shards(_states(parts), checkpoint_id=place)


def load(place: Path, parts: Mapping[str, Any]) -> None:
    """Put what `save` wrote into the parts."""
    if not parts:
        return
    from torch.distributed.checkpoint.state_dict import set_state_dict
    from torch.distributed.checkpoint.state_dict_loader import load as load_shards

    states = _states(parts)
    load_shards(states, checkpoint_id=place)
    model, optimizers = _model_and_optimizers(parts)
    set_state_dict(model, optimizers, model_state_dict=states["model"], optim_state_dict=states["optimizers"])


def _states(parts: Mapping[str, Any]) -> dict[str, Any]:
    from torch.distributed.checkpoint.state_dict import get_state_dict

    model, optimizers = get_state_dict(*_model_and_optimizers(parts))
    return {"model": model, "optimizers": optimizers}


def _model_and_optimizers(parts: Mapping[str, Any]) -> tuple[nn.Module, list[Optimizer]]:
    models = [part for part in parts.values() if isinstance(part, nn.Module)]
    if len(models) != 1:
        raise ValueError(f"a checkpoint holds one sharded model and its optimizers, not {len(models)} models")
    return models[0], [part for part in parts.values() if isinstance(part, Optimizer)]
