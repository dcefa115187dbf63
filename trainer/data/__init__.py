"""Readers of recorded data, and synthesisers of machine sounds and speech."""
