"""Augmentation: one idea per file."""
