"""trainer: makes the embedding networks that edged runs, and exports them as verified bundles."""
