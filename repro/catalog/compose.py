"""Hydra: from a command line to resolved configs, one for each protocol, scale and sweep value."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from repro.catalog.index import Index
from repro.catalog.load import check_claim, config_files
from repro.catalog.parse import parse
from repro.catalog.roots import OWN, config_roots
from repro.schema.claim import Claim
from repro.schema.errors import ConfigError, nearest
from repro.schema.study import Scale, Study

SELECTIONS = ("claim", "protocol", "scale", "executor", "replicates")
"""Keys that choose what runs and how often; every other key changes something that is sealed, but for `executor.*` and a study's
`resources`, which say where trials run.

`replicates` is part of the seal and chosen before the first trial, as a scale is: it makes nothing exploratory."""


@dataclass(frozen=True)
class Request:
    """One protocol of one claim at one scale, resolved."""

    claim: Claim
    protocol: str
    scale: Scale
    study: Study
    executor: Mapping[str, Any]
    overrides: tuple[str, ...] = ()
    """Overrides of sealed things, as typed."""
    last_params: Mapping[str, Any] = field(default_factory=dict)
    """Study parameters from the command line: they win over scale and cell."""
    config: Mapping[str, Any] = field(default_factory=dict)
    replicates: int | None = None
    """Seeds asked for on the command line; None leaves it to protocol and study."""


def compose(arguments: Sequence[str], index: Index) -> list[Request]:
    """Turn command-line words into requests.

    Args:
        arguments: claim names or globs, and Hydra overrides with comma or range sweeps, e.g.
            `["chinchilla/*", "scale=smoke", "study.params.lr=1e-3,1e-2"]`.
        index: the claims there are.

    Raises:
        ConfigError: for a word that means nothing, with the nearest that does.
    """
    names = [word for word in arguments if "=" not in word]
    requests: list[Request] = []
    for overrides in _expand_sweeps([word for word in arguments if "=" in word]):
        chosen, rest = _split_selections(overrides)
        patterns = names + ([chosen["claim"]] if "claim" in chosen else [])
        if not patterns:
            raise ConfigError(
                "No claim is named. Name one, or a glob in quotes: repro run 'chinchilla/*'. `repro list` shows them all."
            )
        claims = sorted({claim for pattern in patterns for claim in index.expand(pattern)})
        several = len(claims) > 1
        found = [r for claim in claims for r in _requests(index, claim, chosen, rest, several)]
        if not found:
            blocked = ", ".join(c for c in claims if index.claims[c].blocked)
            reason = (
                f"{blocked} cannot run: {index.claims[claims[0]].blocked}"
                if blocked
                else f"none has scale '{chosen.get('scale')}'"
            )
            raise ConfigError(f"Nothing to run: {reason}.")
        requests += found
    return requests


def _requests(
    index: Index, claim: str, chosen: Mapping[str, str], overrides: Sequence[str], several: bool
) -> Iterator[Request]:
    entry = index.claims[claim]
    if entry.blocked:
        if not several:
            raise ConfigError(f"{claim} is blocked: {entry.blocked} `repro show {claim}` says what would unblock it.")
        return
    wanted = chosen.get("protocol")
    if wanted and wanted not in entry.protocols and not several:
        raise ConfigError(f"{claim} has no protocol '{wanted}'.{nearest(wanted, entry.protocols)}")
    for name, protocol in entry.protocols.items():
        if wanted not in (None, name):
            continue
        scale = chosen.get("scale") or _default_scale(protocol.scales)
        if scale not in protocol.scales:
            if scale not in config_files("scale"):
                raise ConfigError(f"There is no scale '{scale}'.{nearest(scale, config_files('scale'))}")
            if not several:
                raise ConfigError(
                    f"{claim}, protocol '{name}', has no scale '{scale}'; it has {', '.join(protocol.scales)}."
                )
            if "full" not in protocol.scales:
                continue
            scale = "full"
        words = [f"replicates={chosen['replicates']}", *overrides] if "replicates" in chosen else overrides
        yield _compose_one(claim, name, protocol.study, scale, chosen.get("executor", "inline"), words)


def _default_scale(scales: Sequence[str]) -> str:
    return next(scale for scale in ("full", "cpu", "smoke", "gpu", "paper") if scale in scales)


def _compose_one(claim: str, protocol: str, study: str, scale: str, executor: str, overrides: Sequence[str]) -> Request:
    config = compose_config(
        [
            f"claim={claim}",
            f"study={study}",
            f"scale={scale}",
            f"executor={executor}",
            f"protocol={protocol}",
            *overrides,
        ]
    )
    where = f"{claim}, as composed"
    checked: Claim = parse("claim", claim, config["claim"], where)
    check_claim(checked, where)
    sealed = tuple(o for o in overrides if not _is_free(_key(o)))
    params = config["study"].get("params") or {}
    prefix = "study.params."
    typed = {_key(o).removeprefix(prefix).split(".")[0] for o in sealed if _key(o).startswith(prefix)}
    return Request(
        claim=checked,
        protocol=protocol,
        scale=parse("scale", scale, config["scale"], where),
        study=parse("study", study, config["study"], where),
        executor=config["executor"],
        overrides=sealed,
        last_params={key: params[key] for key in typed if key in params},
        config=config,
        replicates=_replicates(config.get("replicates")),
    )


def _replicates(given: Any) -> int | None:
    if given is None or (isinstance(given, int) and not isinstance(given, bool) and given > 0):
        return given
    raise ConfigError(f"replicates must be a number of seeds, at least 1, not {given!r}. Write replicates=12.")


def compose_config(overrides: Sequence[str]) -> dict[str, Any]:
    """Compose the root config with Hydra and return it as plain values, without interpolation.

    Raises:
        ConfigError: with Hydra's own explanation in one paragraph.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_module
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    _register_roots()
    try:
        with initialize_config_module(OWN, version_base="1.3", job_name="repro"):
            config = hydra_compose("config", overrides=list(overrides))
    except (HydraException, OmegaConfBaseException) as error:
        said = str(error).partition("Config search path")[0]
        raise ConfigError(f"The command line does not compose: {' '.join(said.split())}") from error
    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _register_roots() -> None:
    from hydra.core.plugins import Plugins
    from hydra.plugins.search_path_plugin import SearchPathPlugin

    if any(kind.__name__ == "ClaimRoots" for kind in Plugins.instance().discover(SearchPathPlugin)):
        return

    class ClaimRoots(SearchPathPlugin):
        """Adds the roots of other people's claims to Hydra's search path."""

        def manipulate_search_path(self, search_path: Any) -> None:
            for root in config_roots()[1:]:
                search_path.append(root.name, root.search_path)

    Plugins.instance().register(ClaimRoots)


def _expand_sweeps(words: Sequence[str]) -> list[list[str]]:
    """Expand comma and range sweeps with Hydra's own parser into plain override lists."""
    if not words:
        return [[]]
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    quoted = [_quote_glob(word) for word in words]
    try:
        parsed = OverridesParser.create().parse_overrides(quoted)
    except HydraException as error:
        raise ConfigError(f"An override cannot be read: {' '.join(str(error).split())}") from error
    (batch,) = BasicSweeper.split_arguments(parsed, max_batch_size=None)
    return [list(combination) for combination in batch]


def _quote_glob(word: str) -> str:
    """Quote the value of `claim=`: its slashes and stars are ours, not Hydra's grammar; commas still sweep."""
    key, _, value = word.partition("=")
    if key != "claim":
        return word
    return f"claim={','.join(repr(part) for part in value.split(','))}"


def _split_selections(overrides: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    chosen: dict[str, str] = {}
    rest: list[str] = []
    for override in overrides:
        key, _, value = override.partition("=")
        if key in SELECTIONS:
            chosen[key] = value.strip("'\"")
        else:
            rest.append(override)
    return chosen, rest


def _is_free(key: str) -> bool:
    """Say whether an override changes nothing that is sealed."""
    if key == "replicates" or key.startswith("executor."):
        return True
    scaled = key.split(".")[3:] if key.startswith("study.scales.") else key.split(".")[1:]
    return key.startswith("study.") and scaled[:1] == ["resources"]


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")
