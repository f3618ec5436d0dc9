"""Cells of a design are resolved one by one as if each went through all layers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repro.launch.planning.layout import _resolver, resolve_config
from repro.schema.errors import ConfigError


@dataclass(frozen=True)
class Config:
    size: int = 1
    lr: float = 0.1
    name: str = "a"
    widths: tuple[int, ...] = (1, 2)
    warm: bool = False
    limit: float | None = None


VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "size": st.integers(0, 99) | st.just("7"),
    "lr": st.floats(0, 1) | st.integers(0, 9) | st.just("1e-3"),
    "name": st.sampled_from(["b", "${size}", 3]),
    "widths": st.lists(st.integers(0, 9), max_size=3) | st.tuples(st.integers(0, 9)),
    "warm": st.booleans() | st.just("true"),
    "limit": st.none() | st.floats(0, 1),
}
LAYERS = st.fixed_dictionaries({}, optional=dict(VALUES))


@settings(deadline=None, max_examples=60)
@given(LAYERS, st.lists(LAYERS, max_size=3), LAYERS)
def test_each_cell_comes_out_as_by_all_layers(shared: dict, cells: list[dict], on_top: dict) -> None:
    resolve = _resolver(Config, shared, on_top, "recipes.a")
    for cell in cells:
        one_by_one, whole = resolve(cell), resolve_config(Config, [shared, cell, on_top], "recipes.a")
        assert one_by_one == whole
        assert list(map(type, vars(one_by_one).values())) == list(map(type, vars(whole).values()))


@pytest.mark.parametrize(
    ("cell", "message"),
    [({"size": "many"}, "recipes.a.Config.size cannot take 'many'"), ({"sise": 1}, "'sise' is no field")],
)
def test_a_cell_that_does_not_fit_is_named(cell: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _resolver(Config, {}, {}, "recipes.a")(cell)
