"""Why a score is what it is: importance maps of one clip, and a map of the embedding space."""
