"""The objective of the general keyword embedder: TACos on the units of running speech.

Three heads share the embedding, each a :class:`TACos` with its own centres:

- *phones*: what sounds now (one position; several centres for its allophones),
- *diphones*: from the middle of one phone to the middle of the next, two positions: the "keywords" of a language-free
  embedder, a thousand of them instead of a handful of words,
- *words*: recorded words with their relative position, for which no phone times are known.

Time-reversed crops get classes of their own in the last two and a uniform position, as in the thesis.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.augment.reverse import reverse_some
from trainer.augment.specaugment import jitter_level, mask_spectrogram
from trainer.losses.tacos import TACos

SILENT_PHONE = 0


def label_matrix(index: Tensor, n_classes: int) -> Tensor:
    """One-hot rows, uniform where ``index`` is -1: (n,) -> (n, n_classes)."""
    rows = F.one_hot(index.clamp(min=0), n_classes).float()
    return torch.where((index < 0).unsqueeze(1), torch.full_like(rows, 1.0 / n_classes), rows)


class RunningSpeechObjective(nn.Module):
    """Named losses of a batch of crops of running speech.

    Args:
        diphones: int64 (n_phones, n_phones), class of each pair of phones, -1 for a rare one.
        n_words: recorded word classes.
        context: frames (left, right) the network's output lacks.
        silence: value of a silent band, for the augmentations.
        frame_share: share of the frames whose loss is computed; neighbours are too alike to need all.
    """

    diphones: Tensor

    def __init__(
        self,
        diphones: Tensor,
        n_words: int,
        context: tuple[int, int],
        silence: float,
        *,
        dim: int = 128,
        frame_share: float = 0.33,
        reversed_share: float = 0.125,
        word_positions: int = 8,
    ) -> None:
        super().__init__()
        self.register_buffer("diphones", diphones)
        self.n_diphones, self.n_words = int(diphones.max()) + 1, n_words
        self.context, self.silence = context, silence
        self.frame_share, self.reversed_share = frame_share, reversed_share
        self.phone_loss = TACos(len(diphones), 1, 8, dim)
        self.diphone_loss = TACos(2 * self.n_diphones, 2, 1, dim)
        self.word_loss = TACos(2 * n_words + 1, word_positions, 2, dim)

    def forward(self, network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Losses of one batch: `frames` (batch, time, n_mels) and the labels of FrameLabels, each (batch, time)."""
        device = batch["frames"].device
        reversed_crop = torch.rand(len(batch["frames"]), device=device) < self.reversed_share  # (batch,)
        batch = reverse_some(batch, reversed_crop)
        frames = mask_spectrogram(jitter_level(batch["frames"], self.silence), self.silence)
        embeddings = network(frames)  # (batch, time - context, dim)
        left, right = self.context
        chosen = torch.rand(embeddings.shape[:2], device=device) < self.frame_share
        labels = {
            name: value[:, left : value.shape[1] - right][chosen] for name, value in batch.items() if name != "frames"
        }
        backwards = reversed_crop.unsqueeze(1).expand_as(chosen)[chosen]
        return self._losses(embeddings[chosen].unsqueeze(1), labels, backwards)

    def _losses(self, embeddings: Tensor, labels: Mapping[str, Tensor], backwards: Tensor) -> dict[str, Tensor]:
        phone, word = labels["phone"], labels["word"]
        zero = torch.zeros_like(phone)
        named = (phone >= 0) & ((phone == SILENT_PHONE) | ~backwards)
        losses = {"phone": _loss(self.phone_loss, embeddings, phone, zero, named)}
        diphone = self._diphone(labels)
        unit = torch.where(backwards, diphone + self.n_diphones, diphone)
        half = torch.where(backwards, -1, 1 - labels["second_half"])
        losses["diphone"] = _loss(self.diphone_loss, embeddings, unit, half, diphone >= 0)
        n_positions = self.word_loss.centres.shape[1]
        position = labels["position"] * n_positions // 255
        silent = (phone == SILENT_PHONE) & (word < 0)
        unit = torch.where(backwards, word + self.n_words, word).masked_fill(silent, 2 * self.n_words)
        position = torch.where(backwards | silent, -1, position)
        losses["word"] = _loss(self.word_loss, embeddings, unit, position, (word >= 0) | silent)
        losses["loss"] = losses["phone"] + losses["diphone"] + 0.5 * losses["word"]
        return losses

    def _diphone(self, labels: Mapping[str, Tensor]) -> Tensor:
        """Class of the diphone a frame lies in: (neighbour, phone) in the first half of a phone, else the other way."""
        phone, neighbour = labels["phone"], labels["neighbour"]
        later = labels["second_half"] == 1
        first, second = torch.where(later, phone, neighbour), torch.where(later, neighbour, phone)
        pair = self.diphones[first.clamp(min=0), second.clamp(min=0)]
        return torch.where((phone < 0) | (neighbour < 0), -1, pair)


def _loss(head: TACos, embeddings: Tensor, unit: Tensor, position: Tensor, valid: Tensor) -> Tensor:
    if not bool(valid.any()):
        return embeddings.sum() * 0.0
    n_keywords, n_positions = head.centres.shape[:2]
    result: Tensor = head(
        embeddings[valid], label_matrix(unit[valid], n_keywords), label_matrix(position[valid], n_positions)
    )
    return result
