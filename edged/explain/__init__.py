"""Why a sound has the score it has: its parts, its bands and times, the reference it is most like."""
