"""`edged demo`: a plant scene made on the spot, run through the real daemon."""
