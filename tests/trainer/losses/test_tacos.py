"""TACos against a slow loop over the thesis's equations."""

import math
import statistics

import numpy as np
import pytest
import torch

from trainer.losses.tacos import TACos, adaptive_scale, relative_position, tacos_losses, tacos_similarity

torch.manual_seed(0)
N, T, D, K, P, C = 5, 4, 6, 3, 2, 4
EMBEDDINGS, CENTRES = torch.randn(N, T, D), torch.randn(K, P, C, D)
KEYWORD = torch.softmax(torch.randn(N, K), dim=1)
POSITION = torch.softmax(torch.randn(N, P), dim=1)


def slow_similarity(n, k, p):
    frames = EMBEDDINGS[n].numpy()
    centres = CENTRES[k, p].numpy()
    cosine = [[f @ c / np.linalg.norm(f) / np.linalg.norm(c) for c in centres] for f in frames]
    return float(np.mean([max(row) for row in cosine]))


def test_similarity_is_the_mean_of_the_best_centres():
    similarity = tacos_similarity(EMBEDDINGS, CENTRES)
    for n, k, p in np.ndindex(N, K, P):
        assert float(similarity[n, k, p]) == pytest.approx(slow_similarity(n, k, p), abs=1e-5)


def test_losses_equal_the_loop():
    scale = 7.0
    keyword_loss, position_loss = tacos_losses(
        tacos_similarity(EMBEDDINGS, CENTRES), KEYWORD, POSITION, torch.tensor(scale)
    )
    expected_keyword = expected_position = 0.0
    for n in range(N):
        values = {(k, p): math.exp(scale * slow_similarity(n, k, p)) for k in range(K) for p in range(P)}
        total = sum(values.values())
        for k in range(K):
            expected_keyword -= float(KEYWORD[n, k]) * math.log(sum(values[k, p] for p in range(P)) / total)
        for p in range(P):
            expected_position -= float(POSITION[n, p]) * math.log(sum(values[k, p] for k in range(K)) / total)
    assert float(keyword_loss) == pytest.approx(expected_keyword / N, abs=1e-4)
    assert float(position_loss) == pytest.approx(expected_position / N, abs=1e-4)


@pytest.mark.parametrize(("n_segments", "n_positions"), [(1, 1), (1, 5), (3, 5), (5, 5), (2, 7)])
def test_every_position_is_covered_and_every_segment_has_one(n_segments, n_positions):
    labels = torch.stack([relative_position(i, n_segments, n_positions) for i in range(n_segments)])
    assert torch.allclose(labels.sum(dim=1), torch.ones(n_segments))
    assert (labels.sum(dim=0) > 0).all()
    assert labels[0, 0] > 0
    assert labels[-1, -1] > 0


def test_scale_grows_with_the_wrong_classes_and_carries_no_gradient():
    similarity = torch.full((2, 4, 1), 0.1, requires_grad=True)
    label = torch.eye(4)[:2]
    scale = adaptive_scale(similarity, label, torch.tensor(10.0))
    expected = math.log(3 * math.exp(1.0)) / math.cos(math.pi / 4)
    assert float(scale) == pytest.approx(expected, abs=1e-4)
    assert not scale.requires_grad


def slow_scale(similarity, label, previous):
    """Sum over the other keywords' pairs and the angle of the own keyword's best pair, segment by segment."""
    total, angles = 0.0, []
    for pairs, shares in zip(similarity.tolist(), label.tolist(), strict=True):
        total += sum(
            (1 - share) * math.exp(previous * x) for share, row in zip(shares, pairs, strict=True) for x in row
        )
        angles.append(math.acos(sum(share * max(row) for share, row in zip(shares, pairs, strict=True))))
    return math.log(total / len(label)) / math.cos(min(math.pi / 4, statistics.median(angles)))


def test_scale_equals_the_loop_over_50_steps():
    loss = TACos(K, P, C, D).double()
    slow = math.sqrt(2.0) * math.log(K * P - 1)
    for step in range(51):
        n = N - step % 2  # the median of an even number lies between the two in the middle
        embeddings, keyword = torch.randn(n, T, D).double(), torch.softmax(torch.randn(n, K), dim=1).double()
        if step:
            slow = slow_scale(tacos_similarity(embeddings, loss.centres.detach()), keyword, slow)
        loss(embeddings, keyword, POSITION[:n].double())
        assert float(loss.scale) == pytest.approx(slow, rel=1e-6)


@pytest.mark.parametrize("previous", [50.0, 100.0, 1000.0])
def test_a_large_scale_stays_a_number(previous: float) -> None:
    """From 89 on the exponential of the own keyword, which does not count, was infinite, and the scale not a number."""
    similarity = torch.tensor([[[1.0], [0.2], [0.1]]])
    scale = adaptive_scale(similarity, torch.eye(3)[:1], torch.tensor(previous))
    assert float(scale) == pytest.approx(0.2 * previous, rel=0.01)


def slow_subcluster_scale(similarity, label, previous):
    """Eqs. 38-40 with the positions of a keyword as its centres: all pairs count, angles are means over positions."""
    total, angles = 0.0, []
    for pairs, shares in zip(similarity.tolist(), label.tolist(), strict=True):
        total += sum(math.exp(previous * x) for row in pairs for x in row)
        mean_angles = [statistics.mean(math.acos(x) for x in row) for row in pairs]
        angles.append(sum(share * angle for share, angle in zip(shares, mean_angles, strict=True)))
    return math.log(total / len(label)) / math.cos(min(math.pi / 4, statistics.median(angles)))


def test_the_scale_of_subcluster_adacos_equals_the_loop() -> None:
    loss = TACos(K, P, C, D, scale_rule="subcluster").double()
    slow = float(loss.scale)
    for step in range(11):
        embeddings, keyword = torch.randn(N, T, D).double(), torch.softmax(torch.randn(N, K), dim=1).double()
        if step:
            slow = slow_subcluster_scale(tacos_similarity(embeddings, loss.centres.detach()), keyword, slow)
        loss(embeddings, keyword, POSITION.double())
        assert float(loss.scale) == pytest.approx(slow, rel=1e-6)


def test_a_scale_of_before_its_start_was_kept_goes_on() -> None:
    loss, older = TACos(K, P, C, D), TACos(K, P, C, D).state_dict()
    older["scale"].fill_(9.0)
    del older["has_started"]
    loss.load_state_dict(older)
    loss(EMBEDDINGS, KEYWORD, POSITION)
    assert float(loss.scale) != 9.0


def test_the_scale_of_subcluster_adacos_runs_away_where_trained_centres_fit_well() -> None:
    """Why it is not the default: the own keyword's pairs count, so near angles feed the scale that made them."""
    scales = {}
    for rule in ("adacos", "subcluster"):
        loss = TACos(K, P, C, D, scale_rule=rule)
        embeddings = loss.centres.detach()[:, :, 0].reshape(K * P, 1, D).repeat(1, T, 1)
        keyword, position = torch.eye(K).repeat_interleave(P, 0), torch.eye(P).repeat(K, 1)
        for _ in range(40):
            loss(embeddings, keyword, position)
        scales[rule] = float(loss.scale)
    assert scales["adacos"] < 100.0
    assert scales["subcluster"] > 1000.0


def test_position_weight_zero_is_the_keyword_loss_alone():
    loss = TACos(K, P, C, D, position_weight=0.0).eval()
    keyword_loss, _ = tacos_losses(tacos_similarity(EMBEDDINGS, loss.centres), KEYWORD, POSITION, loss.scale)
    assert loss(EMBEDDINGS, KEYWORD, POSITION).item() == keyword_loss.item()


def test_unit_centres_point_where_the_others_do() -> None:
    torch.manual_seed(1)
    drawn = TACos(K, P, C, D).centres
    torch.manual_seed(1)
    unit = TACos(K, P, C, D, unit_centres=True).centres
    torch.testing.assert_close(unit.norm(dim=-1), torch.ones(K, P, C))
    torch.testing.assert_close(tacos_similarity(EMBEDDINGS, unit), tacos_similarity(EMBEDDINGS, drawn))


def test_gradient_is_right():
    scale = torch.tensor(6.0, dtype=torch.float64)

    def both(embeddings, centres):
        return tacos_losses(tacos_similarity(embeddings, centres), KEYWORD.double(), POSITION.double(), scale)

    inputs = (EMBEDDINGS.double().requires_grad_(), CENTRES.double().requires_grad_())
    assert torch.autograd.gradcheck(both, inputs)


def test_training_lowers_the_loss():
    loss = TACos(n_keywords=4, n_positions=2, n_centres=2, dim=6)
    embeddings = torch.nn.Parameter(torch.randn(16, 3, 6))
    keyword = torch.eye(4)[torch.arange(16) % 4]
    position = torch.eye(2)[torch.arange(16) // 4 % 2]
    optimizer = torch.optim.Adam([embeddings, *loss.parameters()], lr=0.05)
    values = []
    for _ in range(40):
        value = loss(embeddings, keyword, position)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(float(value.detach()))
    assert values[-1] < 0.5 * values[0]
