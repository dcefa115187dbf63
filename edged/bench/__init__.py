"""`edged bench`: what this computer can carry. Read `run` first: it is the order of the measurements."""
