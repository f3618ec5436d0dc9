"""A recipe is looked at without being run: what it defines or imports, and what its digest covers."""

from pathlib import Path

import pytest

from repro.catalog.recipe import design_function, has_function, recipe_fields, sources_of

PARTS = '''
from dataclasses import dataclass

from repro.lab.seeding import generator


@dataclass(frozen=True)
class Config:
    """One run."""

    seed: int = 0
    size: float = 1.0


def cost(config):
    return config.size
'''
IMPORTING = """
from recipes.toys.parts import Config, cost


def run(config, context):
    return {"x": config.size}
"""
LAYOUTS = """
from recipes.toys.parts import Config


def line(config: Config):
    return [{"size": 1.0}, {"size": 2.0}]
"""


@pytest.fixture
def with_parts(write_claims) -> Path:
    root = write_claims(
        recipe=IMPORTING,
        study="recipe: recipes.toys.draws\ndesign: {function: recipes.toys.layouts.line}\nscales: {full: {}}\n",
        extra={"recipes/toys/parts.py": PARTS, "recipes/toys/layouts.py": LAYOUTS},
    )
    return root


def test_what_a_recipe_imports_from_its_folder_counts_as_its_own(with_parts: Path) -> None:
    assert recipe_fields("recipes.toys.draws") == ("seed", "size")
    assert has_function("recipes.toys.draws", "cost")
    assert not has_function("recipes.toys.draws", "Config")
    assert not has_function("recipes.toys.draws", "line")


def test_the_digest_covers_the_folder_but_no_layout(with_parts: Path) -> None:
    covered = set(sources_of("recipes.toys.draws"))
    assert {"recipes.toys.draws", "recipes.toys.parts", "repro.lab.seeding"} <= covered
    assert "recipes.toys.layouts" not in covered


@pytest.mark.parametrize(
    ("function", "found"), [("line", ("recipes.toys.draws", "line")), ("a.b.line", ("a.b", "line"))]
)
def test_a_design_function_is_the_recipes_or_has_a_full_name(function: str, found: tuple[str, str]) -> None:
    assert design_function("recipes.toys.draws", function) == found


def test_a_study_is_laid_out_by_another_module(with_parts: Path) -> None:
    from repro.catalog.load import load_scale, load_study
    from repro.launch.planning.layout import lay_out

    specs = lay_out(load_study("toys/draws"), load_scale("full"), [0])
    assert [spec.config["size"] for spec in specs] == [1.0, 2.0]
