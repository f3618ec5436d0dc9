"""Mean lDDT-Cα of structures predicted with OpenFold's released weights, from an archive that a user supplies.

Paper: Ahdritz et al. 2024 (OpenFold), the accuracies printed beside the released checkpoints. Would serve the claim `openfold/released_weights`, which
is blocked: no predictions are at hand. This is the whole scoring, so that whoever has them can run it.

The archive, a zip declared as the data set `openfold_predictions`, with nothing else in it but directories:

    experimental/<chain>.cif                    the experimental structure, mmCIF; <chain> is <entry>_<chain of the authors>, such as 7abc_A
    predictions/<checkpoint>/<chain>.pdb        OpenFold's output for the chain's whole sequence, unrelaxed or relaxed

Residues are matched by their number in the sequence: the field label_seq_id of the mmCIF file, and the residue numbers of the prediction, which
OpenFold counts from 1. Residues that the experiment did not resolve do not count.

Files are read inside the archive; nothing is unpacked. Hardware and time: any CPU, seconds for 180 chains. Deviations: see the claim.
"""

import io
import math
import re
import zipfile
from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.protein_folding.lddt import lddt_ca
from repro.schema.context import Context

EXPERIMENTAL = re.compile(r"experimental/(\w+_\w+)\.cif")
PREDICTION = re.compile(r"predictions/(\w+)/(\w+_\w+)\.pdb")
LARGEST = 200_000_000
"""Bytes of one file; a larger one is no single chain."""

Positions = dict[int, Tensor]
"""Cα position [3] (Å) by number in the sequence."""


@dataclass(frozen=True)
class Config:
    """Which archive, and what is scored."""

    archive: str = "openfold_predictions"
    """Data set, a zip."""
    checkpoints: tuple[str, ...] = ("initial_training", "finetuning_5", "finetuning_ptm_2")
    """Directories below `predictions`, each a part of the claim."""
    shift: int = 0
    """Added to the residue numbers of the predictions; anything but 0 scores the wrong residues."""
    seed: int = 0
    """Unused: nothing is drawn. It lets two processes repeat the calculation."""


def experimental_positions(text: str, chain: str) -> Positions:
    """Cα of a chain (named by its authors) of an mmCIF file, first model, by label_seq_id."""
    from biotite.structure.io import pdbx

    file = pdbx.CIFFile.read(io.StringIO(text))
    atoms = pdbx.get_structure(file, model=1, extra_fields=["label_seq_id"])
    atoms = atoms[(atoms.chain_id == chain) & (atoms.atom_name == "CA") & (atoms.element == "C")]
    numbered = zip(atoms.label_seq_id, atoms.coord, strict=True)
    return {int(n): torch.tensor(x, dtype=torch.float64) for n, x in numbered if str(n).isdigit()}


def predicted_positions(text: str) -> Positions:
    """Cα of a PDB file of one chain, first model, by residue number."""
    from biotite.structure.io import pdb

    atoms = pdb.PDBFile.read(io.StringIO(text)).get_structure(model=1)
    atoms = atoms[(atoms.atom_name == "CA") & (atoms.element == "C")]
    return {int(n): torch.tensor(x, dtype=torch.float64) for n, x in zip(atoms.res_id, atoms.coord, strict=True)}


def read_archive(archive: zipfile.ZipFile) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Texts of the experimental structures by chain, and of the predictions by checkpoint and chain.

    Raises:
        ValueError: names the first file that does not belong there, or is too large.
    """
    experimental: dict[str, str] = {}
    predictions: dict[str, dict[str, str]] = {}
    for entry in archive.infolist():
        if entry.is_dir():
            continue
        true, predicted = EXPERIMENTAL.fullmatch(entry.filename), PREDICTION.fullmatch(entry.filename)
        if not (true or predicted) or entry.file_size > LARGEST:
            raise ValueError(
                f"'{entry.filename}' does not belong into the archive, or is too large. It takes experimental/<chain>.cif and "
                f"predictions/<checkpoint>/<chain>.pdb, where <chain> is such as 7abc_A."
            )
        text = archive.read(entry).decode("utf-8", errors="replace")
        if true:
            experimental[true[1]] = text
        elif predicted:
            predictions.setdefault(predicted[1], {})[predicted[2]] = text
    return experimental, predictions


def score(true: Positions, predicted: Positions, shift: int = 0) -> float:
    """lDDT-Cα over the residues that both have; residues that were resolved but not predicted are kept nowhere.

    A missing residue is put far away, so that all its distances are wrong.
    """
    numbers = sorted(true)
    moved = {n + shift: x for n, x in predicted.items()}
    far = [moved.get(n, torch.tensor([1e6 * (i + 1), 0.0, 0.0]).double()) for i, n in enumerate(numbers)]
    return lddt_ca(torch.stack(far), torch.stack([true[n] for n in numbers])).item() if len(numbers) > 1 else math.nan


def run(config: Config, context: Context) -> dict[str, float]:
    """Score every checkpoint on every chain.

    Returns:
        by checkpoint, the mean lDDT-Cα over chains (1); `chains`: how many (count).

    Raises:
        ValueError: if the archive lacks a checkpoint, or a checkpoint has not exactly the experimental chains.
    """
    with zipfile.ZipFile(context.data(config.archive)) as archive:
        experimental, predictions = read_archive(archive)
    true = {chain: experimental_positions(text, chain.rpartition("_")[2]) for chain, text in experimental.items()}
    row = {"chains": float(len(true))}
    for done, name in enumerate(config.checkpoints):
        context.progress(done / len(config.checkpoints))
        texts = predictions.get(name, {})
        different = sorted(texts.keys() ^ true.keys())
        if different or not texts:
            raise ValueError(
                f"Checkpoint '{name}' must have a prediction for each of the {len(true)} experimental chains and no other, got "
                f"{len(texts)}; {different[0] if different else 'there are no chains'}."
            )
        scores = [score(true[chain], predicted_positions(text), config.shift) for chain, text in sorted(texts.items())]
        row[name] = sum(scores) / len(scores)
    return row


if __name__ == "__main__":
    import sys
    from pathlib import Path

    # Its one argument is the archive.
    print(run(Config(), Context(files={"openfold_predictions": Path(sys.argv[1])})))
