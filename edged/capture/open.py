"""Which class opens which source; each is imported only where it is used."""

from __future__ import annotations

from edged.capture.source import Source, SourceSpec


def open_source(spec: SourceSpec) -> Source:
    """An open source.

    Raises:
        AudioError: for a file that cannot be used.
        DeviceError: for a device that is absent or refuses.
    """
    if spec.kind == "microphone":
        from edged.capture.microphone import MicrophoneSource  # noqa: PLC0415 - PortAudio stays out of file readers

        return MicrophoneSource(spec)
    if spec.kind == "file":
        from edged.capture.wavfile import FileSource  # noqa: PLC0415 - libsndfile stays out of microphone children

        return FileSource(spec)
    from edged.capture.pcm import PcmSource  # noqa: PLC0415

    return PcmSource(spec)
