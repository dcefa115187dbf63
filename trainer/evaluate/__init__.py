"""Figures: how well a bundle or system does."""
