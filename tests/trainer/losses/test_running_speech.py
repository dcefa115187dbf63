"""The objective of the general embedder: labels go where they belong, and it trains."""

import torch
from torch.overrides import TorchFunctionMode

from trainer.augment.reverse import reverse_some
from trainer.augment.specaugment import jitter_level, mask_spectrogram
from trainer.losses.running_speech import RunningSpeechObjective, label_matrix
from trainer.models.speech_trunk import SpeechTrunk, parameter_count
from trainer.models.temporal_resnet import TemporalResNet


def small_batch(n_words=3):
    time = 48
    phone = torch.randint(0, 5, (4, time))
    return {
        "frames": torch.randn(4, time, 64),
        "phone": phone,
        "neighbour": torch.randint(-1, 5, (4, time)),
        "second_half": torch.randint(0, 2, (4, time)),
        "word": torch.randint(-1, n_words, (4, time)),
        "position": torch.randint(0, 255, (4, time)),
    }


def test_label_matrix():
    assert label_matrix(torch.tensor([1, -1]), 2).tolist() == [[0.0, 1.0], [0.5, 0.5]]


def test_it_trains():
    torch.manual_seed(0)
    network = SpeechTrunk(width=16, dim=8)
    diphones = torch.arange(25).reshape(5, 5)
    context = (network.context_left, network.context_right)
    objective = RunningSpeechObjective(diphones, 3, context, -1.5, dim=8, frame_share=1.0, reversed_share=0.5)
    optimizer = torch.optim.Adam([*network.parameters(), *objective.parameters()], lr=0.02)
    batch, values = small_batch(), []
    for _ in range(15):
        losses = objective(network, batch)
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
        values.append(float(losses["loss"].detach()))
    assert set(losses) == {"phone", "diphone", "word", "loss"}
    assert values[-1] < values[0]


def test_what_is_drawn_is_drawn_where_the_frames_are():
    """Reversal and the chosen frames were drawn on the CPU whatever the device, which an accelerator refuses."""
    devices = []

    class Drawn(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            if func is torch.rand:
                devices.append((kwargs or {}).get("device"))
            return func(*args, **(kwargs or {}))

    network = SpeechTrunk(width=16, dim=8)
    context = (network.context_left, network.context_right)
    objective, batch = RunningSpeechObjective(torch.arange(25).reshape(5, 5), 3, context, -1.5, dim=8), small_batch()
    with Drawn():
        objective(network, batch)
    assert set(devices) == {batch["frames"].device}


def test_diphones_run_from_middle_to_middle():
    network = SpeechTrunk(width=16, dim=8)
    objective = RunningSpeechObjective(torch.arange(9).reshape(3, 3), 1, (0, 0), -1.5, dim=8)
    labels = {
        "phone": torch.tensor([1, 1, 2, 1]),
        "neighbour": torch.tensor([0, 2, 1, -1]),
        "second_half": torch.tensor([0, 1, 0, 1]),
    }
    assert objective._diphone(labels).tolist() == [1, 5, 5, -1]  # (0, 1), (1, 2), (1, 2), unknown
    assert parameter_count(network) > 0


def test_trunk_in_pieces_equals_one_pass():
    torch.manual_seed(0)
    network = SpeechTrunk(width=16, dim=8).eval()
    left, right = network.context_left, network.context_right
    frames = torch.randn(1, left + 24 + right, 64)
    with torch.no_grad():
        whole = network(frames)
        pieces = [network(frames[:, start : start + left + 8 + right]) for start in (0, 8, 16)]
    assert whole.shape == (1, 24, 8)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, atol=1e-5, rtol=1e-5)


def test_table_30_has_the_size_of_the_thesis():
    network = TemporalResNet()
    assert 0.69e6 < parameter_count(network) < 0.73e6
    assert network(torch.randn(2, 16, 64)).shape == (2, 16, 128)
    assert TemporalResNet(crop=(3, 2)).eval()(torch.randn(1, 16, 64)).shape == (1, 11, 128)


def test_reversing_touches_only_the_chosen_rows():
    x = torch.arange(12.0).reshape(2, 3, 2)
    turned = reverse_some({"x": x}, torch.tensor([True, False]))["x"]
    assert torch.equal(turned[0], x[0].flip(0))
    assert torch.equal(turned[1], x[1])


def test_augmented_frames_never_fall_below_silence():
    torch.manual_seed(0)
    frames = torch.rand(8, 30, 64) - 1.5
    changed = mask_spectrogram(jitter_level(frames, -1.5), -1.5)
    assert changed.min() >= -1.5
    assert (changed == -1.5).any()
    assert changed.shape == frames.shape
