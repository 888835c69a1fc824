"""Which data are augmented, how strongly, and what they are without that. Training applies it."""

from __future__ import annotations

import msgspec

from ttfsrun.config.schema import AugmentationSettings, Mnist, YinYang

Strengths = tuple[float, ...]  # rotation, shear, scale, shift

NONE: Strengths = (0.0, 0.0, 0.0, 0.0)


def strengths_of(settings: YinYang | Mnist) -> Strengths:
    """Return the strengths of the augmentation; NONE for data that are no images."""
    return msgspec.structs.astuple(settings.augmentation) if isinstance(settings, Mnist) else NONE


def is_augmented(settings: YinYang | Mnist) -> bool:
    """Return whether training images are changed."""
    return strengths_of(settings) != NONE


def plain(settings: YinYang | Mnist) -> YinYang | Mnist:
    """Return the same data without augmentation, which all networks of a population share."""
    if not isinstance(settings, Mnist):
        return settings
    rotation, shear, scale, shift = NONE
    none = AugmentationSettings(rotation=rotation, shear=shear, scale=scale, shift=shift)
    return msgspec.structs.replace(settings, augmentation=none)
