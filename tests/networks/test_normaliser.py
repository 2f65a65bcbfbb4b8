"""Running statistics against numpy's over everything at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import toys

from trpo_gail.config.tree import CriticConfig
from trpo_gail.networks import normaliser as normaliser_module
from trpo_gail.networks.normaliser import Normaliser, sums
from trpo_gail.networks.value import ValueNetwork


def batches(rng: np.random.Generator) -> list[np.ndarray]:
    return [5.0 * k + (1.0 + k) * rng.standard_normal((n, 3)) for k, n in enumerate([1, 40, 7, 300])]


def test_statistics_are_numpys_over_all_batches(rng: np.random.Generator) -> None:
    normaliser, parts = Normaliser(3), batches(rng)
    for part in parts:
        normaliser.add(sums(torch.as_tensor(part)))
    everything = np.concatenate(parts)
    assert normaliser.count == len(everything)
    np.testing.assert_allclose(normaliser.mean.numpy(), everything.mean(0), rtol=1e-12)
    np.testing.assert_allclose(normaliser.std.numpy(), everything.std(0), rtol=1e-12)
    z = normaliser(torch.as_tensor(everything)).numpy()
    np.testing.assert_allclose(z, (everything - everything.mean(0)) / (everything.std(0) + 1e-6), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("decay", [0.0, 0.5, 1.0])
def test_earlier_rows_count_less_by_the_decay(decay: float, rng: np.random.Generator) -> None:
    normaliser, parts = Normaliser(3), batches(rng)
    for part in parts:
        normaliser.add(sums(torch.as_tensor(part)), decay)
    everything = np.concatenate(parts)
    ages = np.repeat(np.arange(len(parts))[::-1], [len(part) for part in parts])
    mean = np.average(everything, 0, decay**ages)
    var = np.average((everything - mean) ** 2, 0, decay**ages)
    assert normaliser.count == (decay**ages).sum()
    np.testing.assert_allclose(normaliser.mean.numpy(), mean, rtol=1e-12)
    np.testing.assert_allclose(normaliser.std.numpy(), np.sqrt(var), rtol=1e-12)


def test_ranks_sums_add_up_to_one_batch(rng: np.random.Generator) -> None:
    one, other, parts = Normaliser(3), Normaliser(3), batches(rng)
    one.add(sums(torch.as_tensor(np.concatenate(parts))))
    other.add(torch.stack([sums(torch.as_tensor(part)) for part in parts]).sum(0))
    np.testing.assert_allclose(one.meansq.numpy(), other.meansq.numpy(), rtol=1e-12)


def test_weight_counts_rows_as_often(rng: np.random.Generator) -> None:
    x = torch.as_tensor(rng.standard_normal((4, 3)))
    torch.testing.assert_close(sums(x, 2.5), 2.5 * sums(x))
    torch.testing.assert_close(sums(x, 2.0), sums(torch.cat([x, x])))
    assert sums(x).shape == (7,) and sums(x.float()).dtype == torch.float64


@pytest.mark.parametrize("size", [0, 1, 2, 15, 16, 17, 32, 33, 40])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sums_of_some_columns_at_a_time_are_those_of_all(
    size: int, dtype: torch.dtype, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.as_tensor(100.0 * rng.standard_normal((500, size + 1))).to(dtype)
    for rows in (x[:, 1:].contiguous(), x[:, 1:]):
        monkeypatch.setattr(normaliser_module, "AT_A_TIME", 10**9)
        together = sums(rows)
        monkeypatch.setattr(normaliser_module, "AT_A_TIME", 1)
        assert torch.equal(sums(rows), together)


def test_in_place_it_does_the_same(rng: np.random.Generator) -> None:
    x = torch.as_tensor(5.0 * rng.standard_normal((50, 4)))
    for clip, exempt in [
        (None, None),
        (1.0, None),
        (1.0, np.array([True, False, False, True])),
        (1.0, np.ones(4, bool)),
    ]:
        normaliser = Normaliser(4, clip, exempt=exempt)
        if not normaliser.is_idle:
            normaliser.add(normaliser.sums(x[:30]))
        before, z = x.clone(), normaliser(x)
        assert torch.equal(x, before)
        own = x.clone()
        assert normaliser.in_place(own.dtype)(own) is own and torch.equal(own, z)
        if exempt is not None:
            assert torch.equal(z[:, exempt], x[:, exempt]) and z[:, exempt].abs().max() > 1.0
        if clip is not None and not normaliser.is_idle:
            assert z[:, ~exempt if exempt is not None else slice(None)].abs().max() == 1.0


def test_the_identity_until_it_has_seen_something() -> None:
    x = torch.tensor([[3.0, -7.0, 100.0]])
    assert torch.equal(Normaliser(3)(x), x)
    fed = Normaliser(3)
    fed.add(sums(torch.zeros(0, 3)))
    assert torch.equal(fed(x), x)


def test_a_feature_that_was_constant_does_not_explode() -> None:
    fed = Normaliser(2, clip=10.0)
    fed.add(sums(torch.tensor([[1.0, 0.0], [1.0, 2.0]])))
    assert fed.std.tolist() == [0, 1]
    z = fed(torch.tensor([[1.5, 1.0], [1.0, 500.0], [0.5, -500.0]]))
    torch.testing.assert_close(z, torch.tensor([[10.0, 0.0], [0.0, 10.0], [-10.0, -10.0]]))
    free = Normaliser(2)
    free.load_state_dict(fed.state_dict())
    assert free(torch.tensor([[1.5, 1.0]]))[0, 0] > 1e5


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_float32_data_far_from_zero_keeps_its_spread(offset: float, rng: np.random.Generator) -> None:
    x = torch.as_tensor(offset + rng.standard_normal((1000, 1)), dtype=torch.float32)
    fed = Normaliser(1)
    fed.add(sums(x))
    np.testing.assert_allclose(fed.std.numpy(), x.double().std(unbiased=False).numpy(), rtol=1e-6)
    assert fed(x).dtype == torch.float32


def test_inactive_features_pass_as_they_are(rng: np.random.Generator) -> None:
    fed, x = Normaliser(3, active=2), torch.as_tensor(batches(rng)[1])
    fed.add(sums(x))
    z = fed(x)
    assert torch.equal(z[:, 2], x[:, 2])
    torch.testing.assert_close(z[:, :2].mean(0), torch.zeros(2, dtype=torch.float64), atol=1e-9, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_new_target_statistics_leave_the_value_as_it_was(dtype: torch.dtype, rng: np.random.Generator) -> None:
    """van Hasselt et al. (2016): the output layer takes back what the statistics change."""
    network = ValueNetwork(CriticConfig(hidden_sizes=(5,)), toys.spec(3), torch.Generator().manual_seed(0)).to(dtype)
    with torch.no_grad():
        network.net.layers[-1].weight.normal_(generator=torch.Generator().manual_seed(1))
    x = torch.as_tensor(rng.standard_normal((20, 3)), dtype=dtype)
    network.update_target_normaliser(sums(torch.as_tensor(5.0 + rng.standard_normal((100, 1)))), True)
    value = network.value(x, torch.zeros(20)).detach()  # what was there before the first targets does not stay
    assert value.std() > 0.1
    for mean, std in [(50.0, 10.0), (-3.0, 0.5), (200.0, 80.0)]:
        network.update_target_normaliser(sums(torch.as_tensor(mean + std * rng.standard_normal((100, 1)))), True)
        tolerance = 1e-3 if dtype == torch.float32 else 1e-9
        torch.testing.assert_close(network.value(x, torch.zeros(20)).detach(), value, rtol=0, atol=tolerance)
    assert network.target_normaliser.std > 10 and (network.net.layers[-1].weight.abs() < 1).all()
