"""Learning rates of every schedule."""

import inspect
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from leyden.optim import schedules
from leyden.optim.schedules import ScheduleConfig

PEAK = 0.1
REQUIRED = {
    "plateau": {"monitor": "val/loss"},
}
"""Arguments of a schedule that have no default."""

SCHEDULES = {
    name: function
    for name, function in vars(schedules).items()
    if inspect.isfunction(function)
    and function.__module__ == schedules.__name__
    and not name.startswith("_")
    and name != "schedule_of"
}
every_schedule = pytest.mark.parametrize("name", SCHEDULES)


def sgd(momentum: float = 0.9) -> torch.optim.SGD:
    return torch.optim.SGD([nn.Parameter(torch.ones(2))], lr=PEAK, momentum=momentum)


def build(
    name: str, optimizer: torch.optim.Optimizer, total_steps: float, **options: object
) -> ScheduleConfig:
    return SCHEDULES[name](optimizer, total_steps=total_steps, **REQUIRED.get(name, {}), **options)


def advance(optimizer: torch.optim.Optimizer, schedule: ScheduleConfig) -> None:
    optimizer.step()
    if isinstance(schedule["scheduler"], ReduceLROnPlateau):
        schedule["scheduler"].step(1.0)
    else:
        schedule["scheduler"].step()


def rates(
    optimizer: torch.optim.Optimizer, schedule: ScheduleConfig, steps: int, key: str = "lr"
) -> list[float]:
    """Return the learning rate of each step of a run."""
    collected = []
    for _ in range(steps):
        collected.append(optimizer.param_groups[0][key])
        advance(optimizer, schedule)
    return collected


def test_all_schedules_are_found() -> None:
    assert {"constant", "one_cycle", "cosine", "linear", "step", "plateau"} <= set(SCHEDULES)


@every_schedule
@pytest.mark.parametrize("total_steps", [1, 2, 3, 4, 5, 10])
def test_short_runs(name: str, total_steps: int) -> None:
    optimizer = sgd()

    taken = rates(optimizer, build(name, optimizer, total_steps), total_steps)

    assert all(0.0 < rate <= PEAK * (1 + 1e-9) for rate in taken)


@every_schedule
def test_returns_the_dictionary_that_lightning_expects(name: str) -> None:
    schedule = build(name, sgd(), 10)

    assert set(schedule) - {"monitor"} == {"scheduler", "interval", "frequency"}
    assert schedule["interval"] in ("step", "epoch")
    assert schedule["frequency"] == 1


@every_schedule
def test_resumes_from_a_checkpoint_of_plain_values(name: str, tmp_path: Path) -> None:
    optimizer, resumed = sgd(), sgd()
    schedule = build(name, optimizer, 10)
    rates(optimizer, schedule, 4)
    state = [optimizer.state_dict(), schedule["scheduler"].state_dict()]
    torch.save(state, tmp_path / "state.pt")
    resumed_schedule = build(name, resumed, 10)

    optimizer_state, schedule_state = torch.load(tmp_path / "state.pt", weights_only=True)
    resumed.load_state_dict(optimizer_state)
    resumed_schedule["scheduler"].load_state_dict(schedule_state)

    assert rates(resumed, resumed_schedule, 6) == rates(optimizer, schedule, 6)


@every_schedule
def test_every_group_keeps_its_own_learning_rate(name: str) -> None:
    groups = [
        {"params": [nn.Parameter(torch.ones(2))]},
        {"params": [nn.Parameter(torch.ones(2))], "lr": PEAK / 10},
    ]
    optimizer = torch.optim.SGD(groups, lr=PEAK)
    schedule = build(name, optimizer, 10)

    for _ in range(5):
        first, second = (group["lr"] for group in optimizer.param_groups)
        assert second == pytest.approx(first / 10)
        advance(optimizer, schedule)


@pytest.mark.parametrize("name", ["one_cycle", "cosine", "linear"])
@pytest.mark.parametrize("total_steps", [float("inf"), -1, 0])
def test_runs_without_an_end_are_refused(name: str, total_steps: float) -> None:
    with pytest.raises(ValueError, match=r"max_epochs or trainer\.max_steps"):
        build(name, sgd(), total_steps)


@pytest.mark.parametrize("name", ["constant", "step", "plateau"])
def test_runs_without_an_end(name: str) -> None:
    optimizer = sgd()

    assert rates(optimizer, build(name, optimizer, float("inf")), 2)[0] == PEAK


def test_constant() -> None:
    optimizer = sgd()

    assert rates(optimizer, build("constant", optimizer, 10), 20) == [PEAK] * 20


def test_one_cycle_increases_to_the_peak_and_decreases() -> None:
    optimizer = sgd()
    schedule = build(
        "one_cycle", optimizer, 100, pct_start=0.31, div_factor=10.0, final_div_factor=100.0
    )

    taken = rates(optimizer, schedule, 100)

    assert taken[0] == pytest.approx(PEAK / 10)
    assert taken[30] == max(taken) == pytest.approx(PEAK)
    assert taken[-1] == pytest.approx(PEAK / 10 / 100)
    assert taken[:31] == sorted(taken[:31])
    assert taken[30:] == sorted(taken[30:], reverse=True)


@pytest.mark.parametrize(("total_steps", "pct_start"), [(10, 0.1), (2, 0.5), (4, 0.25), (3, 0.0)])
def test_one_cycle_with_a_warm_up_of_about_one_step(total_steps: int, pct_start: float) -> None:
    optimizer = sgd()
    schedule = build("one_cycle", optimizer, total_steps, pct_start=pct_start)

    assert max(rates(optimizer, schedule, total_steps)) > 0.3 * PEAK


def test_one_cycle_cycles_the_momentum() -> None:
    optimizer = sgd()
    schedule = build("one_cycle", optimizer, 100, pct_start=0.31)

    taken = rates(optimizer, schedule, 100, key="momentum")

    assert [taken[0], taken[30], taken[-1]] == pytest.approx([0.95, 0.85, 0.95])


def test_one_cycle_cycles_the_first_beta() -> None:
    optimizer = torch.optim.AdamW([nn.Parameter(torch.ones(2))], lr=PEAK, betas=(0.9, 0.99))
    schedule = build("one_cycle", optimizer, 100, pct_start=0.31)

    taken = rates(optimizer, schedule, 100, key="betas")

    assert taken[30] == pytest.approx((0.85, 0.99))


@pytest.mark.parametrize(
    ("optimizer", "momentum"),
    [
        (sgd(momentum=0.0), 0.0),
        (torch.optim.RMSprop([nn.Parameter(torch.ones(2))], lr=PEAK), 0.0),
        (torch.optim.Adagrad([nn.Parameter(torch.ones(2))], lr=PEAK), None),
    ],
    ids=["sgd", "rmsprop", "adagrad"],
)
def test_one_cycle_does_not_enable_momentum(
    optimizer: torch.optim.Optimizer, momentum: float | None
) -> None:
    build("one_cycle", optimizer, 10)

    assert optimizer.param_groups[0].get("momentum") == momentum


def test_one_cycle_can_keep_the_momentum() -> None:
    optimizer = sgd()
    schedule = build("one_cycle", optimizer, 10, cycle_momentum=False)

    assert set(rates(optimizer, schedule, 10, key="momentum")) == {0.9}


@pytest.mark.parametrize(("name", "at_quarter"), [("cosine", 0.8682), ("linear", 0.775)])
def test_warm_up_then_decay(name: str, at_quarter: float) -> None:
    optimizer = sgd()
    schedule = build(name, optimizer, 100, warmup_fraction=0.2, final_fraction=0.1)

    taken = [rate / PEAK for rate in rates(optimizer, schedule, 110)]

    assert taken[0] == pytest.approx(1 / 21)
    assert taken[10] == pytest.approx(11 / 21)
    assert taken[20] == max(taken) == pytest.approx(1.0)
    assert taken[40] == pytest.approx(at_quarter, abs=1e-4)
    assert taken[60] == pytest.approx(0.55)
    assert taken[100:] == pytest.approx([0.1] * 10)  # constant beyond the end


@pytest.mark.parametrize("name", ["cosine", "linear"])
def test_the_longest_warm_up_reaches_the_peak(name: str) -> None:
    optimizer = sgd()

    taken = rates(optimizer, build(name, optimizer, 3, warmup_fraction=0.99), 3)

    assert taken[-1] == pytest.approx(PEAK)


def test_step_decays_by_epochs() -> None:
    optimizer = sgd()
    schedule = build("step", optimizer, 10, step_size=2, gamma=0.5)

    assert schedule["interval"] == "epoch"
    expected = [PEAK, PEAK, PEAK / 2, PEAK / 2, PEAK / 4]
    assert rates(optimizer, schedule, 5) == pytest.approx(expected)


@pytest.mark.parametrize(("mode", "better", "worse"), [("min", 1.0, 2.0), ("max", 2.0, 1.0)])
def test_plateau_decays_when_the_metric_stops_improving(
    mode: str, better: float, worse: float
) -> None:
    optimizer = sgd()
    schedule = build("plateau", optimizer, 10, mode=mode, factor=0.5, patience=1, min_lr=0.04)

    taken = []
    for metric in [worse, better, worse, worse, better, better, better]:
        schedule["scheduler"].step(metric)
        taken.append(optimizer.param_groups[0]["lr"])

    assert schedule["interval"] == "epoch"
    assert schedule["monitor"] == "val/loss"
    assert taken == pytest.approx([0.1, 0.1, 0.1, 0.05, 0.05, 0.04, 0.04])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("one_cycle", {"pct_start": 1.0}),
        ("cosine", {"warmup_fraction": -0.1}),
        ("linear", {"final_fraction": 2.0}),
        ("step", {"step_size": 0}),
        ("step", {"gamma": -1.0}),
        ("plateau", {"factor": -0.1}),
        ("one_cycle", {"div_factor": 0.0}),
        ("one_cycle", {"final_div_factor": -1.0}),
    ],
)
def test_an_option_out_of_range_is_named(name: str, options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        build(name, sgd(), 10, **options)


def test_one_cycle_has_the_length_of_the_run_that_resumes_it():
    def built(total_steps):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)
        return optimizer, schedules.one_cycle(optimizer, total_steps=total_steps)["scheduler"]

    def advance(optimizer, scheduler, steps):
        for _ in range(steps):
            optimizer.step()
            scheduler.step()

    short = built(10)
    advance(*short, 9)
    optimizer, longer = built(20)
    longer.load_state_dict(short[1].state_dict())
    advance(optimizer, longer, 3)
    uninterrupted = built(20)
    advance(*uninterrupted, 12)
    assert longer.get_last_lr() == uninterrupted[1].get_last_lr()
