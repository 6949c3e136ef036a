import builtins
import logging
import sys

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from robust_select.core.candidates import Candidate
from robust_select.core.errors import InputError, MissingExtraError
from robust_select.core.instances import seeds_for
from robust_select.integrations.mlflow import LiveLog, log_study
from robust_select.ledger import open_ledger
from robust_select.select.rules import Exhaustive, Halving, TopTwo
from robust_select.study import Study
from robust_select.study.reading import read_result

CANDIDATES = {f"c{i}": {"mean": 0.5 * i, "kind": "abc"[i % 3], "layers": [16, i]} for i in range(4)}

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")  # the client that reads back, too


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """A SQLite store; it takes MLflow a second or two to make one."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


@pytest.fixture(params=["file", "sqlite"])
def store(request, tmp_path, monkeypatch):
    """Where a study goes: a store's URI and an experiment of the test's own."""
    monkeypatch.chdir(tmp_path)  # MLflow puts files that belong to a SQLite store there
    if request.param == "sqlite":
        return {"tracking_uri": request.getfixturevalue("database"), "experiment": request.node.name}
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return {"tracking_uri": f"file:{tmp_path}/mlruns", "experiment": "mine"}


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return {"tracking_uri": f"file:{tmp_path}/mlruns", "experiment": "mine"}


def score_of(candidate, replicate):
    return CANDIDATES[candidate]["mean"] + np.random.default_rng(seeds_for(3, replicate).initial_weights).normal()


def study_of(ledger=None, stops_at=None, **changes):
    seen = []

    def train(params, instance):
        seen.append(instance)
        if len(seen) == stops_at:
            raise KeyboardInterrupt
        return params["mean"] + instance.rng("initial_weights").normal()

    settings = {"criterion": "mean", "rule": Halving(warmup=3), "seed": 3, "ledger": ledger, **changes}
    return Study(CANDIDATES, train, **settings)


def run_logged(study, store, **how):
    """Run a study with a log; give the run's id."""
    with LiveLog(study, **store, **how) as log:
        for step in study.steps():
            log(step)
    return log.run_id


class Held:
    """What a store holds of an experiment, as MLflow's own client reads it."""

    def __init__(self, store):
        self.client = MlflowClient(store["tracking_uri"])
        experiment = self.client.get_experiment_by_name(store["experiment"])
        runs = self.client.search_runs([experiment.experiment_id])
        self.parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
        self.parent = self.parents[0]
        own = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == self.parent.info.run_id]
        self.children = {run.info.run_name: run for run in own}
        assert len(own) == len(self.children)

    def points(self, run, metric):
        """Give step -> value of a metric; a step that was written twice fails the test."""
        history = self.client.get_metric_history(run.info.run_id, metric)
        found = {point.step: point.value for point in history}
        assert len(found) == len(history), (metric, history)
        return found

    def scores(self):
        return {name: self.points(run, "score") for name, run in self.children.items()}

    def everything(self):
        runs = {"": self.parent, **self.children}
        return {
            (name, metric): self.points(run, metric)
            for name, run in runs.items()
            for metric in run.data.metrics
            if metric not in ("seconds", "confidence")
        }


def trained(result):
    return {
        name: {at: score for at, score in enumerate(row) if np.isfinite(score)}
        for name, row in zip(result.table.candidates, result.table.scores.tolist(), strict=True)
    }


def test_a_study_reads_back_as_it_was(store):
    study = study_of(name="four")
    result = study.run()
    assert result.trainings == 3 * 4 + 2  # three of each, then the better half once more
    run_id = log_study(study, **store)
    held = Held(store)
    assert held.parent.info.run_id == run_id
    assert held.parent.info.run_name == "four"
    assert {run.info.status for run in [held.parent, *held.children.values()]} == {"FINISHED"}
    counts = {name: len(points) for name, points in held.scores().items()}
    assert sorted(counts.values()) == [3, 3, 4, 4]
    for name, points in held.scores().items():
        assert points == {at: score_of(name, at) for at in range(counts[name])}
        data = held.children[name].data
        scores = np.array(list(points.values()))
        assert data.metrics["criterion"] == data.metrics["mean"] == pytest.approx(scores.mean())
        q1, q3 = np.quantile(scores, [0.25, 0.75])
        assert data.metrics["q3_iqr"] == pytest.approx(q3 + (q3 - q1))
        assert data.metrics["std"] == pytest.approx(scores.std(ddof=1))
        assert (data.metrics["instances"], data.metrics["unusable"]) == (counts[name], 0)
        assert set(held.points(held.children[name], "mean")) == {counts[name]}
        assert data.params == {
            "mean": str(CANDIDATES[name]["mean"]),
            "kind": CANDIDATES[name]["kind"],
            "layers": f"[16, {name[1]}]",
        }
        assert data.tags["robust_select.selected"] == str(name == result.selected).lower()
        assert (data.tags["robust_select.discarded_at"] == "3") == (counts[name] == 3)
    means = {name: np.mean([score_of(name, at) for at in range(3)]) for name in CANDIDATES}
    assert held.points(held.parent, "best_value")[3] == pytest.approx(min(means.values()))
    assert held.points(held.parent, "alive") == {3: 2, 4: 1}
    assert held.points(held.parent, "trainings") == {3: 12, 4: 14}
    assert held.parent.data.params["rule.warmup"] == "3"
    assert held.parent.data.params["criterion"] == "mean"
    tags = held.parent.data.tags
    assert (tags["robust_select.study"], tags["robust_select.seed"]) == ("four", "3")
    assert (tags["robust_select.rule"], tags["robust_select.selected"]) == ("halving", result.selected)
    assert tags["mlflow.note.content"].startswith(f"### Robustness card: {result.selected}")
    [file] = held.client.list_artifacts(run_id)
    page = held.client.download_artifacts(run_id, file.path)
    with open(page, encoding="utf-8") as opened:
        assert "<title>four" in opened.read()


def test_live_it_holds_the_same_and_grows_step_by_step(store):
    afterwards = study_of()
    afterwards.run()
    log_study(afterwards, store["tracking_uri"], store["experiment"] + " afterwards")
    study, seen = study_of(), []
    with LiveLog(study, **store, every=0) as log:
        assert log.run_id is None
        for step in study.steps():
            log(step)
            held = Held(store)
            seen.append(held.points(held.parent, "trainings"))
            assert held.parent.info.status == "RUNNING"
    assert seen[0] == {3: 12}
    assert seen[1] == {3: 12, 4: 14}
    expected = Held({**store, "experiment": store["experiment"] + " afterwards"})
    held = Held(store)
    assert held.parent.info.status == "FINISHED"
    assert held.parent.info.run_id == log.run_id
    assert held.everything() == expected.everything()


def test_a_study_that_was_stopped_goes_on_in_the_same_runs(store, tmp_path):
    ledger = tmp_path / "study.db"
    undisturbed = study_of()
    expected = trained(undisturbed.run())
    with pytest.raises(KeyboardInterrupt):
        run_logged(study_of(ledger, stops_at=14), store, every=0)
    first = Held(store)
    assert first.parent.info.status == "KILLED"
    assert sum(map(len, first.scores().values())) == 12  # the thirteenth is recorded, and nobody has heard of it
    study = study_of(ledger)
    assert run_logged(study, store, every=0) == first.parent.info.run_id
    held = Held(store)
    assert [run.info.status for run in held.parents] == ["FINISHED"]
    assert held.scores() == expected
    written = held.everything()
    log_study(study, **store)
    with open_ledger(ledger) as opened:
        assert log_study(read_result(opened), **store) == first.parent.info.run_id
    assert Held(store).everything() == written


def test_fresh_instances_are_added_later(files, tmp_path):
    study = study_of(tmp_path / "study.db")
    study.run()
    log_study(study, **files)
    before = Held(files).everything()
    study = study_of(tmp_path / "study.db", fresh=5)
    result = study.run()
    log_study(study, **files)
    held = Held(files)
    assert held.scores() == trained(result)
    assert len(held.scores()[result.selected]) == 9
    after = held.everything()
    assert {key: {step: after[key][step] for step in points} for key, points in before.items()} == before
    assert set(held.points(held.children[result.selected], "mean")) == {4, 9}
    fresh = [score_of(result.selected, at) for at in range(4, 9)]
    assert held.points(held.parent, "honest_mean")[19] == pytest.approx(np.mean(fresh))


def test_a_training_that_failed_leaves_a_gap_and_is_counted(files):
    def train(params, instance):
        if params["mean"] == 0 and instance.replicate == 1:
            raise ValueError("no")
        return params["mean"] + instance.replicate

    study = Study(CANDIDATES, train, criterion="mean", rule=Exhaustive(n=3))
    study.run()
    log_study(study, **files)
    held = Held(files)
    assert held.scores()["c0"] == {0: 0, 2: 2}
    metrics = held.children["c0"].data.metrics
    assert (metrics["instances"], metrics["unusable"], metrics["min"]) == (3, 1, 0)
    assert "mean" not in metrics  # it is infinite


def test_an_unfinished_study_is_written_as_far_as_it_got(files, tmp_path):
    study = study_of(tmp_path / "study.db", stops_at=6)
    with pytest.raises(KeyboardInterrupt):
        study.run()
    with open_ledger(tmp_path / "study.db") as ledger:
        log_study(read_result(ledger), **files)
    held = Held(files)
    assert held.parent.info.status == "RUNNING"
    assert sum(map(len, held.scores().values())) == 5
    assert held.parent.data.tags["robust_select.stop_reason"] == "not finished"


def test_who_leaves_the_loop_early_has_ended_the_run(files):
    study = study_of()
    with LiveLog(study, **files) as log:
        for step in study.steps():
            log(step)
            break
    assert Held(files).parent.info.status == "KILLED"


def test_the_probability_is_written_where_the_rule_gives_one(files):
    study = study_of(rule=TopTwo(tolerance=0.2))
    run_logged(study, files, every=0)
    held = Held(files)
    points = held.points(held.parent, "confidence")
    assert points[study.result.steps[-1].step] == study.result.confidence
    assert all(0 <= value <= 1 for value in points.values())


def test_a_study_begun_anew_is_not_mixed_with_the_old_one(files):
    def train(params, instance):
        return params["mean"] + shift

    def study():
        return Study(CANDIDATES, train, criterion="mean", rule=Exhaustive(n=2))

    shift = 0.0
    first = study()
    first.run()
    log_study(first, **files)
    shift = 0.25
    second = study()
    second.run()
    with pytest.raises(InputError, match=r"came 0.25 for candidate 'c0', replicate 0, where it has 0.0.*name="):
        log_study(second, **files)
    with pytest.raises(InputError, match="begun anew"):
        run_logged(second, files)
    assert Held(files).scores()["c1"] == {0: 0.5, 1: 0.5}
    log_study(second, **files, name="moved")
    assert sorted(run.info.run_name for run in Held(files).parents) == ["moved", "study"]


def test_other_settings_are_another_run(files):
    for rule in (Exhaustive(n=2), Exhaustive(n=3)):
        study = study_of(rule=rule)
        study.run()
        log_study(study, **files)
    assert sorted(run.data.params["rule.n"] for run in Held(files).parents) == ["2", "3"]


def test_names_that_mlflow_does_not_take_are_mended_and_long_texts_cut(files):
    params = {f"p{i:03}": i for i in range(120)}
    candidates = [Candidate("a/b: '☃' " + "x" * 300, {**params, "opt/l*r": 0.5, "../up": 1, "text": "y" * 9000})]
    study = Study(candidates, lambda params, instance: 1.0, criterion="mean", rule=Exhaustive(n=1))
    study.run()
    log_study(study, **files)
    log_study(study, **files)
    [child] = Held(files).children.values()
    assert len(child.data.params) == 123
    assert (child.data.params["p119"], child.data.params["opt_l_r"], child.data.params["_._up"]) == (
        "119",
        "0.5",
        "1",
    )
    assert child.data.params["text"].startswith("yyy")
    assert len(child.data.params["text"]) <= 500
    assert child.data.tags["robust_select.candidate"] == candidates[0].name


def test_a_store_that_is_away_for_a_while_costs_nothing(files, monkeypatch, caplog):
    study, n_calls, real = study_of(), [0], MlflowClient.log_batch

    def log_batch(self, *given, **named):
        n_calls[0] += 1
        if 3 <= n_calls[0] <= 8:
            raise MlflowException("the server went away")
        return real(self, *given, **named)

    monkeypatch.setattr(MlflowClient, "log_batch", log_batch)
    with caplog.at_level(logging.WARNING, logger="robust_select"), LiveLog(study, **files, every=0) as log:
        for step in study.steps():
            log(step)
        n_calls[0] = 9
    assert "did not take what there is after step 3" in caplog.text
    assert Held(files).scores() == trained(study.result)


def test_what_the_store_never_took_is_said_at_the_end_and_can_be_written_later(files, monkeypatch):
    study = study_of()

    def log_batch(self, *given, **named):
        raise MlflowException("the server is gone")

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "log_batch", log_batch)
        with pytest.raises(MlflowException, match="the server is gone"):
            run_logged(study, files)
    assert study.result.trainings == 14
    log_study(study, **files)
    assert Held(files).scores() == trained(study.result)


def test_what_ends_the_study_is_not_hidden_by_the_store(files, monkeypatch, caplog):
    def log_batch(self, *given, **named):
        raise MlflowException("the server is gone")

    monkeypatch.setattr(MlflowClient, "log_batch", log_batch)
    with pytest.raises(KeyboardInterrupt), caplog.at_level(logging.WARNING, logger="robust_select"):
        run_logged(study_of(stops_at=13), files)
    assert "did not take the last of the study: the server is gone" in caplog.text


def test_what_mlflow_cannot_use_is_refused_before_anything_is_trained():
    with pytest.raises(InputError, match=r"came tracking_uri='bad://\*\*\*@host/store'.*MLflow says:"):
        LiveLog(study_of(), "bad://user:secret@host/store")


def test_nothing_to_write_makes_no_run(files):
    with pytest.raises(InputError, match="something was trained"):
        log_study(study_of(), **files)
    with pytest.raises(InputError, match=r"a Study, or a Reading.*came 3"):
        log_study(3, **files)
    with pytest.raises(KeyboardInterrupt):
        run_logged(study_of(stops_at=1), files)
    client = MlflowClient(files["tracking_uri"])
    assert client.search_runs([client.get_experiment_by_name("mine").experiment_id]) == []


def test_without_mlflow_the_command_is_named(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **options):
        if name.partition(".")[0] == "mlflow":
            raise ModuleNotFoundError("No module named 'mlflow'", name="mlflow")
        return real(name, *rest, **options)

    for name in [name for name in sys.modules if name.startswith("robust_select.integrations.mlflow")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r'mlflow is not installed: pip install "robust-select\[mlflow\]"'):
        import robust_select.integrations.mlflow  # noqa: F401
