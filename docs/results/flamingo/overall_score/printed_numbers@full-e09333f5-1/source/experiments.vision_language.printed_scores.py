"""Scores that Flamingo's Tables 1 and 3 print for five tasks, each in its own metric; higher is better.

Paper: Alayrac et al. 2022 (Flamingo), arXiv 2204.14198. COCO and VATEX count CIDEr, the others top-1 accuracy (%).
"""

TASKS = ("coco", "okvqa", "vqav2", "msvdqa", "vatex")
"""Captions of images, two sets of questions about images, questions about videos, captions of videos."""

FINE_TUNED = (143.3, 54.4, 80.2, 47.9, 76.3)
"""Table 1: the best published score of a model fine-tuned on the task, in the order of `TASKS`."""

ABLATION = {
    "baseline": (86.5, 42.1, 55.8, 36.3, 53.4),
    "no_gate": (78.4, 40.5, 52.9, 35.9, 47.5),
}
"""Table 3: the 3B model at 4 shots on the DEV sets, shorter training."""

SIZES = (3, 9, 80)
"""Billions of parameters, by the models' names."""

SHOTS = (0, 4, 32)
"""Examples in the prompt."""

FEW_SHOT = {
    (3, 0): (73.0, 41.2, 49.2, 27.5, 40.1),
    (3, 4): (85.0, 43.3, 53.2, 33.0, 50.0),
    (3, 32): (99.0, 45.9, 57.1, 42.6, 59.2),
    (9, 0): (79.4, 44.7, 51.8, 30.2, 39.5),
    (9, 4): (93.1, 49.3, 56.3, 36.2, 51.7),
    (9, 32): (106.3, 51.0, 60.4, 47.2, 57.4),
    (80, 0): (84.3, 50.6, 56.3, 35.6, 46.7),
    (80, 4): (103.2, 57.4, 63.1, 41.7, 56.0),
    (80, 32): (113.8, 57.8, 67.6, 52.3, 65.1),
}
"""Table 1: scores by size and shots, in the order of `TASKS`."""


def overall(scores: tuple[float, ...]) -> float:
    """Section 3.3: the mean over tasks of a score divided by the fine-tuned state of the art, in per cent."""
    return 100 * sum(score / best for score, best in zip(scores, FINE_TUNED, strict=True)) / len(scores)
