"""Distances of embeddings to references (0 = identical), fitted once at enrolment."""
