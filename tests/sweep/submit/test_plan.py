"""Plans: every point once, full cores, tasks of about the target time, memory and checkpoints respected."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ttfsrun.results.sweep_folder import SweepPoint
from ttfsrun.sweep.cost import MAX_NETWORKS, Cost
from ttfsrun.sweep.submit.plan import Plan, Room, make_plan

COST = Cost(epoch=0.03, network=0.04, point=0.1, memory=4e8, network_memory=1e6)


def points(trainings: int, *, shape: str = "a", conditions: int = 1, epochs: int = 100) -> list[SweepPoint]:
    return [
        SweepPoint(
            point=f"{shape}{t}.{c}",
            training=f"{shape}{t}",
            shape=shape,
            settings={},
            config={"training": {"epochs": epochs}},
        )
        for t in range(trainings)
        for c in range(conditions)
    ]


def room(cores: int = 4, workers: int | None = None, tasks: int | None = None, minutes: float | None = 10) -> Room:
    return Room(cores, workers or cores, tasks, None if minutes is None else 60 * minutes, None)


def planned(plan: Plan) -> list[str]:
    return [point for task in plan.tasks for population in task for point in population.points]


@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=4),
    conditions=st.integers(1, 3),
    cores=st.integers(1, 9),
    minutes=st.sampled_from([None, 0.1, 1.0, 30.0]),
    tasks=st.sampled_from([None, 1, 5]),
)
def test_every_point_is_planned_once_and_a_training_is_never_split(sizes, conditions, cores, minutes, tasks):
    every = [p for i, size in enumerate(sizes) for p in points(size, shape="abcd"[i], conditions=conditions)]
    plan = make_plan(every, dict.fromkeys("abcd", COST), room(cores, tasks=tasks, minutes=minutes))
    assert Counter(planned(plan)) == Counter(point.point for point in every)
    homes = {}
    for number, population in enumerate(p for task in plan.tasks for p in task):
        trainings = {point.partition(".")[0] for point in population.points}
        assert population.networks == len(trainings) <= MAX_NETWORKS
        assert len({training[0] for training in trainings}) == 1, "shapes are mixed"
        for training in trainings:
            assert homes.setdefault(training, number) == number
    assert tasks is None or len(plan.tasks) <= tasks


def test_a_task_lasts_about_as_long_as_wanted():
    plan = make_plan(points(2000), {"a": COST}, room(cores=4, minutes=10))
    durations = [plan.seconds(task) for task in plan.tasks]
    assert max(durations) < 1.3 * 600
    assert sorted(durations)[len(durations) // 2] > 0.7 * 600


def test_a_task_whose_points_are_mostly_evaluated_lasts_as_long_as_wanted_too():
    plan = make_plan(points(40, conditions=50, epochs=1), {"a": COST}, room(cores=1, minutes=1))
    durations = [plan.seconds(task) for task in plan.tasks]
    assert max(durations) < 1.3 * 60
    assert sorted(durations)[len(durations) // 2] > 0.7 * 60


def test_the_workers_of_a_task_have_equal_loads():
    plan = make_plan(points(100), {"a": COST}, room(cores=2, minutes=None))
    assert [len(task) for task in plan.tasks] == [len(plan.tasks[0])]
    assert len(plan.tasks[0]) % 2 == 0
    sizes = {population.networks for population in plan.tasks[0]}
    assert max(sizes) - min(sizes) <= 1


def test_a_population_is_only_as_large_as_the_memory_of_its_worker():
    tight = Room(cores=2, workers=2, tasks=None, task_seconds=6000, memory=2 * (4e8 + 5e6))
    plan = make_plan(points(50), {"a": COST}, tight)
    assert max(population.networks for task in plan.tasks for population in task) == 5
    assert plan.memory <= tight.memory


def test_a_population_on_a_gpu_is_as_large_as_its_memory():
    on_gpu = Cost(epoch=0.02, network=0.0003, point=0.01, memory=4e9, network_memory=4e6, most=1024)
    two = Room(cores=2, workers=2, tasks=1, task_seconds=None, memory=None, gpu_memory=2e9)
    plan = make_plan(points(3000), {"a": on_gpu}, two)
    assert {population.networks for task in plan.tasks for population in task} == {500}
    assert plan.on_gpus
    roomy = make_plan(points(3000), {"a": on_gpu}, replace(two, gpu_memory=80e9))
    assert max(population.networks for task in roomy.tasks for population in task) == 750


def test_few_networks_leave_no_core_idle_in_the_estimate():
    plan = make_plan(points(1), {"a": COST}, room(cores=4, minutes=None))
    alone = make_plan(points(1), {"a": COST}, room(cores=1, minutes=None))
    assert plan.longest < alone.longest


def test_networks_of_one_checkpoint_stay_together():
    members = [f"a{i}" for i in (3, 4, 9)]
    plan = make_plan(points(12), {"a": COST}, room(cores=1, minutes=None), [dict.fromkeys(members, "code")])
    populations = [{p.partition(".")[0] for p in population.points} for task in plan.tasks for population in task]
    assert set(members) in populations


@pytest.mark.parametrize("network", [1e-9, 10.0])
def test_a_population_is_not_larger_than_is_worthwhile(network):
    cost = Cost(epoch=0.01, network=network, point=0.0, memory=1e8, network_memory=1e6)
    assert 8 <= cost.worthwhile <= MAX_NETWORKS
