"""The average of weights over steps."""

import pytest
import torch
from torch import nn
from trainings import CPU, RECIPE, few, network, same, trained

from archspace.training.average import Average
from archspace.training.evaluation import evaluate
from archspace.training.feed import feed
from archspace.training.loop import train

AVERAGED = RECIPE.model_copy(update={"ema": 0.5})


def drift(model: nn.Module, step: int) -> None:
    """Change weights as a step of training would."""
    generator = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for value in model.parameters():
            value.add_(torch.randn(value.shape, generator=generator))


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


@pytest.mark.parametrize("decay", [0.05, 0.3, 0.999])
def test_the_average_is_that_of_a_loop_by_hand(decay: float) -> None:
    model = nn.Linear(3, 2)
    average = Average(model, decay)
    by_hand = {name: value.double() for name, value in weights(model).items()}
    for step in range(30):
        drift(model, step)
        average.update(model)
        kept = min(decay, (1 + step) / (10 + step))
        by_hand = {name: kept * by_hand[name] + (1 - kept) * value for name, value in weights(model).items()}
    for name, value in by_hand.items():
        torch.testing.assert_close(average.weights[name].double(), value, rtol=1e-5, atol=1e-6)


def test_an_average_of_weights_that_stay_is_what_they_are() -> None:
    model = network()
    average = Average(model, 0.9)
    assert same(average.weights, weights(model))
    for _ in range(3):
        average.update(model)
    assert same(average.weights, weights(model))


def test_it_stands_in_and_the_weights_come_back_to_the_last_bit() -> None:
    model = network()
    average = Average(model, 0.5)
    drift(model, 0)
    average.update(model)
    before, held = weights(model), {name: value.clone() for name, value in average.weights.items()}
    assert not same(before, held)
    with average.standing_in(model):
        assert same(weights(model), held)
    assert same(weights(model), before)
    assert same(average.weights, held)


def test_the_weights_come_back_where_measuring_fails() -> None:
    model = network()
    average = Average(model, 0.5)
    drift(model, 0)
    before = weights(model)
    with pytest.raises(RuntimeError, match="no memory"), average.standing_in(model):
        raise RuntimeError("no memory")
    assert same(weights(model), before)


def test_it_goes_on_from_its_state_as_it_would_have() -> None:
    model, other = nn.Linear(3, 2), nn.Linear(3, 2)
    average, resumed = Average(model, 0.9), Average(other, 0.9)
    for step in range(4):
        drift(model, step)
        average.update(model)
    other.load_state_dict(average.weights)
    resumed.resume(other, average.state(model))
    for one, of in ((average, model), (resumed, other)):
        drift(of, 4)
        one.update(of)
    assert same(weights(model), weights(other))
    assert same(average.weights, resumed.weights)
    assert average.steps == resumed.steps == 5


def test_training_goes_the_same_way_with_an_average_beside_it() -> None:
    plain, states = trained(few())
    averaged, others = trained(few(), AVERAGED)
    assert [epoch.train_loss for epoch in averaged] == [epoch.train_loss for epoch in plain]
    live = {name.removeprefix("live."): value for name, value in others[-1].average.items() if name != "steps"}
    assert same(live, {name: states[-1].weights[name] for name in live})
    assert int(others[-1].average["steps"]) == 3 * 4


def test_measured_and_kept_is_the_average() -> None:
    *_, (epoch, state) = train(network(), few(), AVERAGED, CPU, 1)
    model = network()
    model.load_state_dict(state.weights)
    assert (epoch.error, epoch.cross_entropy) == evaluate(model, feed(few().val, few(), CPU))
    assert not same(weights(model), {name: state.average[f"live.{name}"] for name in weights(model)})
