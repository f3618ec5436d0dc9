"""A recipe looked at without running it: its file, the fields of its `Config`, and the digest of its sources.

Standard library only: the worker, which has neither Hydra nor MLflow, checks recipes with it.
"""

import ast
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from repro.schema.canonical import digest_of, text_digest
from repro.schema.errors import ConfigError

COVERED = ("repro.lab", "repro.schema", "repro.stats")
"""Packages whose modules count as sources of whatever imports them."""


def module_file(module: str) -> Path | None:
    """Return the source file of a dotted module name, or None. Parent packages are imported, the module is not."""
    try:
        spec = find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


def recipe_fields(module: str) -> tuple[str, ...]:
    """Return the field names of the recipe's `Config`.

    Raises:
        ConfigError: if the module is missing or is no recipe: one has a class `Config` and a function `run`.
    """
    file = module_file(module)
    if file is None:
        raise ConfigError(
            f"recipe '{module}' is not a module that can be found; name one like experiments.<topic>.<study>."
        )
    config, run = _defined(module, "Config"), _defined(module, "run")
    if not isinstance(config, ast.ClassDef) or not isinstance(run, ast.FunctionDef):
        names = [node.name for node in _parsed(file).body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
        raise ConfigError(
            f"'{module}' is no recipe: it must define a dataclass Config and a function run(config, context); "
            f"it defines {', '.join(names) or 'neither'}."
        )
    return tuple(n.target.id for n in config.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name))


def has_function(module: str, name: str) -> bool:
    """Say whether the module defines the function `name` at its top level, or imports it from where it is defined."""
    return isinstance(_defined(module, name), ast.FunctionDef)


def design_function(recipe: str, function: str) -> tuple[str, str]:
    """Return module and name of a study's design function: one of the recipe, or any by its full dotted name."""
    module, _, name = function.rpartition(".")
    return module or recipe, name


@cache
def source_digest(module: str) -> str:
    """Return one digest over the module and what it imports, transitively, of the lab, schema, stats and the recipe's own folder."""
    return digest_of_sources(sources_of(module))


def digest_of_sources(sources: Mapping[str, str]) -> str:
    """Return the digest of source texts by module: what `source_digest` gives for the same texts where they are installed."""
    return digest_of({name: text_digest(text) for name, text in sources.items()})


def sources_of(module: str) -> dict[str, str]:
    """Return the texts that `source_digest` covers, with LF line endings, by dotted module name and sorted by it."""
    package = module.rpartition(".")[0]
    beside = () if not package or package.startswith("repro.") else (f"{package}.",)
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        file = None if name in found else module_file(name)
        if file is None:
            continue
        found[name] = file.read_text(encoding="utf-8")
        waiting += [imported for imported in _imports(_parsed(file)) if imported.startswith((*COVERED, *beside))]
    return dict(sorted(found.items()))


def _defined(module: str, name: str) -> ast.ClassDef | ast.FunctionDef | None:
    file = module_file(module)
    for node in _parsed(file).body if file else ():
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return node
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _defined(node.module, alias.name)
    return None


def _imports(tree: ast.Module) -> list[str]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.append(node.module)
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def _parsed(file: Path) -> ast.Module:
    return _tree(file, file.read_text(encoding="utf-8"))


@cache
def _tree(file: Path, text: str) -> ast.Module:
    """Parse a file; its text is part of the cache key, so that an edit is seen."""
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise ConfigError(f"{file} cannot be read as Python: {error}.") from error
