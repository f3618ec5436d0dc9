"""Arithmetic on printed sizes: bytes of weights for every training image, compression of a picture, and what guidance changes.

Papers: Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models", arXiv 2112.10752, Table 3, and the model cards and
file lists of Stable Diffusion version 1. Serves the claims `stable_diffusion/bytes_per_image`,
`stable_diffusion/latent_compression` and `latent_diffusion/table3_guidance`.

Hardware and time: any CPU, milliseconds. Deviations: none; only printed digits enter.
"""

from dataclasses import dataclass

from repro.schema.context import Context

WEIGHTS_GB = {"said": 4.0, "pruned": 4.27, "full": 7.7}
"""Weights of Stable Diffusion version 1, in 10⁹ bytes: as the sentence has it, and two files of the release."""

IMAGES = {"laion_5b": 5.85e9, "laion_2b_en": 2.32e9}
"""Images: all of LAION-5B, and its English part, from which version 1 was trained."""

TABLE_3 = {
    "ldm": ((10.56, 103.49, 0.71, 0.62), (3.60, 247.67, 0.87, 0.48)),
    "adm": ((10.94, 100.98, 0.69, 0.63), (4.59, 186.7, 0.82, 0.52)),
}
"""FID, inception score, precision and recall on ImageNet 256², without guidance and with it."""


@dataclass(frozen=True)
class Config:
    """Conventions of the counts."""

    bits: bool = False
    """Count weights in bits instead of bytes."""
    channels: bool = True
    """Count the numbers of a picture and of its latents; without: their positions alone."""
    bytes_per_pixel_number: int = 1
    """Bytes of a number of the picture, if memory is compared; 1 beside 1 compares numbers."""
    bytes_per_latent_number: int = 1
    """Bytes of a number of the latents."""
    side: int = 512
    """Pixels along each side, H = W."""
    f: int = 8
    """Pixels along each side that share a latent position."""
    latent_channels: int = 4
    """Numbers at a latent position."""
    reversed_rows: bool = False
    """Take the rows with guidance for those without."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def run(config: Config, context: Context) -> dict[str, float]:
    """Compute every figure.

    Returns:
        `bytes_<weights>_<images>`: bytes of weights an image; `images_of_parts`: English, other and undetermined images of LAION-5B added up.
        `compression`: numbers (or bytes) of a picture over those of its latents.
        `score_<model>`, `precision_<model>`, `recall_lost_<model>`, `fid_lost_<model>`: what guidance adds to inception score and precision, and
        takes from recall and FID, in the units of the table.
    """
    row = {
        f"bytes_{weights}_{images}": gb * 1e9 * (8 if config.bits else 1) / number
        for weights, gb in WEIGHTS_GB.items()
        for images, number in IMAGES.items()
    }
    row["images_of_parts"] = 2.32e9 + 2.26e9 + 1.27e9
    picture = config.side**2 * (3 if config.channels else 1) * config.bytes_per_pixel_number
    latents = (config.side // config.f) ** 2 * (config.latent_channels if config.channels else 1)
    row["compression"] = picture / (latents * config.bytes_per_latent_number)
    for model, rows in TABLE_3.items():
        without, guided = reversed(rows) if config.reversed_rows else rows
        row[f"fid_lost_{model}"] = without[0] - guided[0]
        row[f"score_{model}"] = guided[1] - without[1]
        row[f"precision_{model}"] = guided[2] - without[2]
        row[f"recall_lost_{model}"] = without[3] - guided[3]
    return row


if __name__ == "__main__":
    for column, value in run(Config(), Context()).items():
        print(f"{column:28} {value:.4g}")
