"""How loud a stream is right now: what replaces "divide by the maximum of the file" when there is no file.

The level is the peak of the smoothed power that decays slowly, so it stays through the pauses of a speaker and follows
a new, quieter one within seconds. It looks a few frames ahead: the loud vowel of a word then already counts for the
quiet consonant before it, and a clip that begins with the word gets the level it would have had in a conversation.
"""

from __future__ import annotations

import numpy as np

from edged.flow import Float32Array, Float64Array


class LevelFollower:
    """Decaying peak of the frame power; a pure function of the frames since the last reset.

    Args:
        smooth_frames: frames over which power is averaged, so that a click does not count as loud.
        decay_db: decay per frame.
        floor_db: the level never falls below this.
    """

    def __init__(self, smooth_frames: int, decay_db: float, floor_db: float) -> None:
        self._decay_db = decay_db
        self._floor_db = floor_db
        self._recent = np.zeros(smooth_frames - 1)
        self._n_seen = 0
        self._level_db = floor_db

    def push(self, frames_db: Float32Array) -> Float64Array:
        """Take the next frames, (n_frames, n_mels) dB, and return the level after each, (n_frames,) dB."""
        power = np.concatenate([self._recent, np.sum(10.0 ** (frames_db.astype(np.float64) / 10.0), axis=1)])
        smooth_frames = len(self._recent) + 1
        n_frames = len(frames_db)
        sums = sum(power[back : back + n_frames] for back in range(smooth_frames))
        n_averaged = np.minimum(np.arange(self._n_seen + 1, self._n_seen + n_frames + 1), smooth_frames)
        self._n_seen = min(self._n_seen + n_frames, smooth_frames)
        self._recent = power[n_frames:]
        levels_db = []
        for power_db in (10.0 * np.log10(sums / n_averaged)).tolist():
            self._level_db = max(power_db, self._level_db - self._decay_db, self._floor_db)
            levels_db.append(self._level_db)
        return np.array(levels_db)
