from statistics import fmean

import numpy as np
import pytest

from experiments.image_generation import image_tokens
from experiments.vision_language import overall_score, shots_tables
from experiments.vision_language.printed_scores import ABLATION, FEW_SHOT, FINE_TUNED, SHOTS, SIZES, overall
from repro.schema.context import Context


def test_the_overall_score_is_numpys_mean_of_ratios() -> None:
    for scores in (*ABLATION.values(), *FEW_SHOT.values()):
        assert overall(scores) == pytest.approx(100 * np.mean(np.array(scores) / np.array(FINE_TUNED)))
    assert overall(FINE_TUNED) == pytest.approx(100)


def test_the_three_means_differ() -> None:
    rows = {mean: overall_score.run(overall_score.Config(mean=mean), Context()) for mean in ("raw", "ratio_of_means")}
    assert rows["raw"]["baseline"] == pytest.approx(fmean(ABLATION["baseline"]))
    assert rows["ratio_of_means"]["no_gate"] == pytest.approx(100 * fmean(ABLATION["no_gate"]) / fmean(FINE_TUNED))
    with pytest.raises(ValueError, match="raw"):
        overall_score.run(overall_score.Config(mean="median"), Context())


def test_every_score_of_the_table_is_read_once_along_either_axis() -> None:
    seen = []
    for along in ("shots", "size"):
        rows = shots_tables.run(shots_tables.Config(along=along), Context())
        cells = [value for row in rows for name, value in row.items() if not name.startswith(("level", "overall"))]
        seen.append(sorted(cells))
    assert seen[0] == seen[1] == sorted(value for scores in FEW_SHOT.values() for value in scores)
    assert set(FEW_SHOT) == {(size, shots) for size in SIZES for shots in SHOTS}


def test_a_cell_stands_under_its_level() -> None:
    by_shots = shots_tables.run(shots_tables.Config(), Context())
    assert (by_shots[1]["level"], by_shots[1]["coco_80b"]) == (4.0, 103.2)
    by_size = shots_tables.run(shots_tables.Config(along="size"), Context())
    assert (by_size[0]["level"], by_size[0]["vatex_32_shots"]) == (3.0, 59.2)
    mislabelled = shots_tables.run(shots_tables.Config(shuffled=True), Context())
    assert [row["level"] for row in mislabelled] == [4.0, 32.0, 0.0]
    with pytest.raises(ValueError, match="along"):
        shots_tables.run(shots_tables.Config(along="tasks"), Context())


def test_tokens_are_counted_as_an_array_has_them() -> None:
    row = image_tokens.run(image_tokens.Config(), Context())
    assert row["values"] == np.zeros((256, 256, 3)).size
    assert row["ratio"] * row["tokens"] == row["values"]
    assert image_tokens.run(image_tokens.Config(channels=1), Context())["ratio"] * 3 == row["ratio"]
