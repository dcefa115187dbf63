"""Networks: one architecture per file."""
