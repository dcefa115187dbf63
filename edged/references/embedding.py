"""From clips to embeddings, as a stream would go, one clip in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from edged.assembly import Assembly, MonitorName
from edged.embed.bundle import Bundle
from edged.embed.protocol import Embedder
from edged.errors import EnrolmentError
from edged.flow import SAMPLE_RATE_HZ, Block, Embedding, Float32Array
from edged.frontend import front_end
from edged.references.clips import Clip

Track = Callable[[Iterable[Any]], Iterable[Any]]
_AT_ONCE = 10 * SAMPLE_RATE_HZ


def embedded_clips(
    assembly: Assembly, stream: str, monitor: MonitorName, clips: Sequence[Clip], track: Track = iter
) -> list[tuple[Clip, list[Embedding]]]:
    """Clips with their embeddings by the bundle of a monitor.

    Raises:
        AudioError: a file changed since it was examined.
        EnrolmentError: there are no clips.
    """
    if not clips:
        raise EnrolmentError("no clips to enrol")
    bundle = assembly.bundle(stream, monitor)
    embedder = assembly.embedder(bundle)
    return [(clip, embed_clip(clip.samples, bundle, embedder)) for clip in track(clips)]


def embed_clip(samples: Float32Array, bundle: Bundle, embedder: Embedder) -> list[Embedding]:
    """A whole clip, without holding the features of all of it at once: any cutting gives the same."""
    features = front_end(bundle)
    embeddings: list[Embedding] = []
    for at in range(0, len(samples), _AT_ONCE):
        embeddings += embedder.embed(features.push(Block(at, samples[at : at + _AT_ONCE])))
    return embeddings + embedder.embed(features.flush())
