"""From scores to decisions: thresholds, hysteresis, keyword post-processing."""
