"""The page on the lab says what is so: its program runs, its tables are the counts, and it names every module."""

import re
from pathlib import Path

import pytest
import torch

from repro.lab.counting import CONVENTIONS, PARAMETERS
from repro.lab.gpt import GPTShape

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/lab.md").read_text()
SHAPES = [
    GPTShape(*map(int, numbers.split(",")))
    for numbers in re.findall(r'"(?:small|large)" (?:is )?`GPTShape\((.*?)\)`', PAGE)
]


def test_the_program_on_the_page_trains(capsys: pytest.CaptureFixture[str]) -> None:
    program = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert program
    names: dict[str, object] = {}
    exec(program[1], names)
    assert isinstance(names["text"].vocabulary, int)
    printed = capsys.readouterr().out
    losses = eval(printed, {"tensor": torch.tensor})
    assert losses.shape == (4,)
    assert (losses < 3.6).all()  # a uniform guess has ln 64 = 4.2
    assert len(set(losses.tolist())) == 4


@pytest.mark.parametrize(("table", "conventions"), [("parameters", PARAMETERS), ("FLOPs a token", CONVENTIONS)])
def test_the_counts_on_the_page_are_those_of_the_code(table: str, conventions: dict) -> None:
    rows = PAGE.split(f"| {table} | counts | small | large |")[1].split("\n\n")[0].splitlines()[2:]
    printed = {}
    for row in rows:
        name, _, *counts = (cell.strip() for cell in row.strip("|").split(" | "))
        printed[name.strip("`")] = [int(count.replace(",", "").strip(" |")) for count in counts]
    assert printed == {name: [count(shape) for shape in SHAPES] for name, count in conventions.items()}


def test_every_module_of_the_lab_is_on_the_page() -> None:
    listed = PAGE.split("## What there is")[1].split("\n## ")[0]
    for file in (ROOT / "repro/lab").glob("*.py"):
        assert file.stem == "__init__" or f"`{file.stem}`" in listed, file.stem


def test_pages_that_it_links_to_are_there() -> None:
    for link in re.findall(r"\]\((?!http)([^)#]+)", PAGE):
        assert (ROOT / "docs" / link).is_file(), link
