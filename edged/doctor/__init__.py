"""Looks over a whole installation and names the fix for each finding; changes nothing."""
