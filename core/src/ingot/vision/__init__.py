"""Nets for pictures, written with `ingot.nn`: `models` holds them under torchvision's names."""

from ingot.vision import models

__all__ = ["models"]
