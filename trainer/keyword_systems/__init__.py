"""The thesis's keyword-spotting systems side by side (section 6.3, table 31)."""
