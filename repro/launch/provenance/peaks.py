"""Peak arithmetic of devices, as their makers' data sheets give it: dense matrix products, without sparsity."""

TERA = 1e12
_PEAKS = {
    "H200": {"bfloat16": 989.5, "float32": 67.0, "float64": 33.5},
    "H100 PCIe": {"bfloat16": 756.0, "float32": 51.0, "float64": 26.0},
    "H100": {"bfloat16": 989.5, "float32": 67.0, "float64": 33.5},
    "A100": {"bfloat16": 312.0, "float32": 19.5, "float64": 9.7},
    "V100": {"float32": 15.7, "float64": 7.8},
}
"""TFLOP/s by a part of the device's name, the longest first, and precision. NVIDIA's data sheets of H200 SXM, H100 PCIe and SXM,
A100 and V100 SXM2; `float32` and `float64` without tensor cores, as torch computes them by default."""


def peak_flops(device: str, precision: str, matmul: str = "highest") -> float | None:
    """Return the peak FLOP/s of a device, or None where it is not known here: that of a processor is not.

    Args:
        device: its name, as torch says it.
        precision: `float32`, `bfloat16` or `float64`.
        matmul: torch's `float32_matmul_precision`; below `highest` a product in float32 is none.
    """
    if precision == "float32" and matmul != "highest":
        return None
    for name, peaks in _PEAKS.items():
        if name in device:
            known = peaks.get(precision)
            return None if known is None else known * TERA
    return None
