"""Losses: a pure function and a thin module each, with the thesis's equation numbers."""
