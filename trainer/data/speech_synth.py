"""Synthetic speakers with phone times: espeak-ng (a library, many voices) and flite (a program, five voices).

Both are optional: :func:`available_engines` says which are installed; nothing else of the trainer needs them.
"""

from __future__ import annotations

import ctypes
import functools
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import soundfile as sf
import soxr

from edged.errors import EdgedError
from edged.flow import SAMPLE_RATE_HZ, Float32Array
from trainer.data.phones import ARPABET, UNKNOWN, phone_index

ENGLISH_VOICES = ("en-us", "en-us", "en-us", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbcwmd", "en-029")
FOREIGN_VOICES = ("de", "es", "it", "nl", "pt-br", "fr-fr", "sv", "pl")
_VARIANTS = (
    "m1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f3 f4 f5 klatt klatt2 klatt3 klatt4 klatt5 Alex Alicia Andrea Andy Annie "
    "Denis Diogo Gene Gene2 Henrique Hugo Jacky Lee Marco Mario Michael Mike Nguyen Mr adam anika antonio "
    "aunty belinda benjamin boris caleb david ed edward edward2 grandma grandpa iven iven2 iven3 john "
    "kaukovalta linda marcelo max michel miguel norbert pablo paul pedro quincy rob robert sandro shelby steph "
    "steph2 steph3 travis victor zac croak "
)
VARIANTS = tuple(_VARIANTS.split())
FLITE_VOICES = ("kal16", "awb", "rms", "slt")


class SynthesisUnavailableError(EdgedError):
    """A speech synthesiser is missing or refused: install espeak-ng (and flite)."""


@dataclass(frozen=True)
class Utterance:
    """Speech with its phones.

    Attributes:
        samples: float32 (n,), 16 kHz.
        phones: (index into PHONES or UNKNOWN, start_s, end_s), in order, without holes.
    """

    samples: Float32Array
    phones: list[tuple[int, float, float]]


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    """`espeak_EVENT` of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
_SYNCHRONOUS, _PHONEME_EVENTS_IPA, _UTF8 = 2, 3, 1
_RATE, _PITCH, _PITCH_RANGE = 1, 3, 4
_EVENT_END, _EVENT_PHONEME = 0, 7


class Espeak:
    """espeak-ng in this process (its library keeps global state: one instance per process).

    Raises:
        SynthesisUnavailableError: the library is not installed.
    """

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL("libespeak-ng.so.1")
        except OSError as error:
            raise SynthesisUnavailableError("libespeak-ng.so.1 is missing", fix="apt install espeak-ng") from error
        self._rate_hz = self._library.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS_IPA)
        self._chunks: list[Float32Array] = []
        self._phones: list[tuple[str, int]] = []
        self._callback = _CALLBACK(self._collect)  # kept: the library holds only a pointer
        self._library.espeak_SetSynthCallback(self._callback)

    def _collect(self, samples: ctypes._Pointer[ctypes.c_short], count: int, events: ctypes._Pointer[_Event]) -> int:
        if samples and count:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).astype(np.float32) / 32768.0)
        position = 0
        while events[position].type != _EVENT_END:
            if events[position].type == _EVENT_PHONEME:
                name = bytes(events[position].id.string).decode("utf-8", errors="replace")
                self._phones.append((name, events[position].sample))
            position += 1
        return 0

    def speak(self, text: str, voice: str, words_per_minute: int, pitch: int, pitch_range: int) -> Utterance:
        """Synthesise one utterance."""
        self._chunks, self._phones = [], []
        self._library.espeak_SetVoiceByName(voice.encode())
        for parameter, value in ((_RATE, words_per_minute), (_PITCH, pitch), (_PITCH_RANGE, pitch_range)):
            self._library.espeak_SetParameter(parameter, value, 0)
        data = text.encode()
        self._library.espeak_Synth(data, len(data) + 1, 0, 1, 0, _UTF8, None, None)
        if not self._chunks:
            raise SynthesisUnavailableError(f"espeak-ng said nothing with voice {voice!r}")
        samples = np.concatenate(self._chunks)
        starts_s = [sample / self._rate_hz for _, sample in self._phones] + [len(samples) / self._rate_hz]
        phones = [(phone_index(name), starts_s[i], starts_s[i + 1]) for i, (name, _) in enumerate(self._phones)]
        return Utterance(soxr.resample(samples, self._rate_hz, SAMPLE_RATE_HZ).astype(np.float32), phones)


def flite_speak(text: str, voice: str, stretch: float, pitch_hz: float) -> Utterance:
    """Synthesise one utterance with the flite program.

    Raises:
        SynthesisUnavailableError: it is missing or failed.
    """
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        command = ["flite", "-voice", voice, "-psdur", "--setf", f"duration_stretch={stretch:.3f}"]
        command += ["--setf", f"int_f0_target_mean={pitch_hz:.1f}", "-t", text, "-o", file.name]
        try:
            done = subprocess.run(command, capture_output=True, check=True, text=True, timeout=60)
        except (OSError, subprocess.SubprocessError) as error:
            raise SynthesisUnavailableError(f"flite failed: {error}", fix="apt install flite") from error
        samples, rate_hz = sf.read(file.name, dtype="float32")
    phones, start_s = [], 0.0
    for item in done.stdout.split():
        name, end_s = item.rsplit(":", 1)
        phones.append((phone_index(ARPABET[name]) if name in ARPABET else UNKNOWN, start_s, float(end_s)))
        start_s = float(end_s)
    if rate_hz != SAMPLE_RATE_HZ:
        samples = soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ).astype(np.float32)
    return Utterance(samples, phones)


@functools.lru_cache(maxsize=1)
def espeak() -> Espeak:
    """The one instance of this process."""
    return Espeak()


def espeak_speaker(rng: np.random.Generator, text: str, foreign_share: float = 0.2) -> Utterance:
    """A random espeak-ng voice says the text."""
    language = str(rng.choice(FOREIGN_VOICES if rng.random() < foreign_share else ENGLISH_VOICES))
    voice = f"{language}+{rng.choice(VARIANTS)}"
    rate, pitch, pitch_range = rng.integers(120, 270), rng.integers(10, 90), rng.integers(20, 90)
    return espeak().speak(text, voice, int(rate), int(pitch), int(pitch_range))


def flite_speaker(rng: np.random.Generator, text: str) -> Utterance:
    """A random flite voice says the text."""
    voice = str(rng.choice(FLITE_VOICES))
    return flite_speak(text, voice, float(rng.uniform(0.7, 1.4)), float(rng.uniform(85, 230)))


def available_engines() -> dict[str, Callable[[np.random.Generator, str], Utterance]]:
    """Engines that are installed here, by name."""
    engines: dict[str, Callable[[np.random.Generator, str], Utterance]] = {}
    if _library_present():
        engines["espeak-ng"] = espeak_speaker
    if shutil.which("flite"):
        engines["flite"] = flite_speaker
    return engines


def _library_present() -> bool:
    try:
        ctypes.CDLL("libespeak-ng.so.1")
    except OSError:
        return False
    return True
