import csv
import json
import multiprocessing
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from benchmarks import throughput, training
from torch import nn

SCRIPT = Path(throughput.__file__)
MLP_FLOPS = 2 * (2 * (64 * 128 + 128 * 128 + 128) + (128 * 128 + 128))  # no gradient of the input


def test_the_work_is_counted_alike_for_all_ways():
    assert training.Job("plain_processes", "contiguous", "mlp", 32).gflop == pytest.approx(32e-9 * MLP_FLOPS)
    assert training.Job("plain_dataloader", "contiguous", "mlp", 32).gflop == pytest.approx(32e-9 * MLP_FLOPS)
    assert training.Job("vmap", 4, "mlp", 32).gflop == pytest.approx(4 * 32e-9 * MLP_FLOPS)
    assert training.Job("stacked", 8, "mlp", 64).gflop == pytest.approx(16 * 32e-9 * MLP_FLOPS)
    assert training.Job("sgemm", 512).gflop == pytest.approx(2 * 512**3 / 1e9)


@pytest.mark.parametrize("name", training.MODELS)
def test_all_ways_do_the_same(name, monkeypatch):
    """From the same weights, two steps on all of the data end in the same weights, whichever way they are taken."""
    monkeypatch.setattr(training, "N_EXAMPLES", 64)
    optimised, stacks = [], []

    class Watched(torch.optim.AdamW):
        def __init__(self, parameters, **settings):
            optimised.append(list(parameters))
            super().__init__(optimised[-1], **settings)

    class WatchedStack(training.Stack):
        def __init__(self, modules):
            super().__init__(modules)
            stacks.append(self)

    monkeypatch.setattr(torch.optim, "AdamW", Watched)
    monkeypatch.setattr(training, "Stack", WatchedStack)
    model = training.MODELS[name]
    found = {}
    for way, setting in (
        ("plain_processes", "contiguous"),
        ("plain_processes", "channels_last"),
        ("plain_dataloader", "contiguous"),
        ("vmap", 3),
        ("stacked", 3),
    ):
        if setting == "channels_last" and len(model.shape) != 3:
            continue
        torch.manual_seed(0)
        step = training.WAYS[way](model, 64, setting, 0)
        step()
        step()
        tensors = list(stacks[-1].module(0).parameters()) if way == "stacked" else optimised[-1]
        tensors = [tensor[0] for tensor in tensors] if way == "vmap" else tensors
        found[way, setting] = torch.cat([tensor.detach().flatten() for tensor in tensors])
    torch.manual_seed(0)
    before = nn.utils.parameters_to_vector(model.build().parameters()).detach()
    expected = found.pop(("plain_processes", "contiguous")) - before
    assert (expected.abs() > 1e-4).float().mean() > 0.5
    # channels_last rounds BatchNorm otherwise, and AdamW's first steps are lr x sign(gradient), however small that is
    tolerance = 0.1 if name == "resnet" else 1e-3
    for values in found.values():
        assert (values - before - expected).norm() < tolerance * expected.norm()


def test_batches_are_fresh_and_every_example_is_seen_once_an_epoch(monkeypatch):
    monkeypatch.setattr(training, "N_EXAMPLES", 12)
    rows = training.orders(4, 2)
    first, second = (torch.cat([next(rows) for _ in range(3)], dim=1) for _ in range(2))
    for epoch in (first, second):
        assert torch.equal(epoch.sort(dim=1).values, torch.arange(12).expand(2, 12))
    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1])


def test_every_way_has_settings_to_choose_from():
    models = training.MODELS
    assert training.settings_of("plain_processes", models["model1"], 32) == ("contiguous", "channels_last")
    assert training.settings_of("plain_dataloader", models["mlp"], 32) == ("contiguous",)
    assert training.settings_of("stacked", models["mlp"], 32) == (1, 2, 4, 8, 16, 32)
    assert training.settings_of("vmap", models["mlp"], 256) == (1, 2, 4, 8)
    assert training.settings_of("vmap", models["mlp"], 4096) == (1,)


class FakeCrew:
    """Rates that are known: the second of a job's measurements of a round is the best."""

    def __init__(self, rates):
        self.rates, self.asked = rates, []

    def gflop_a_second(self, job, seconds):
        self.asked.append(job)
        wobble = (0.8, 1.0, 0.9)[sum(job == other for other in self.asked) % 3]
        return self.rates[job.way, job.setting] * wobble


def test_the_best_setting_takes_part_and_the_best_round_counts():
    cores = FakeCrew(
        {
            **{("sgemm", size): rate for size, rate in ((512, 80.0), (768, 100.0), (1024, 90.0))},
            ("plain_processes", "contiguous"): 10.0,
            **{("vmap", size): 5.0 + size for size in (1, 2, 4, 8)},
            **{("stacked", size): 50.0 - abs(size - 4) for size in (1, 2, 4, 8)},
        }
    )
    loader = FakeCrew({("plain_dataloader", "contiguous"): 4.0})
    peak, found = throughput.measure([("mlp", 256)], 3, 0.5, {"plain_dataloader": loader, "cores": cores})
    assert peak == 100.0
    assert {one.way: (one.setting, one.gflop) for one in found} == {
        "plain_dataloader": ("contiguous", 4.0),
        "plain_processes": ("contiguous", 10.0),
        "vmap": ("8", 13.0),
        "stacked": ("4", 50.0),
    }
    stacked = found[-1]
    assert (stacked.peak_share, stacked.to_dataloader, stacked.to_processes) == (0.5, 12.5, 5.0)
    assert [one.samples for one in found] == pytest.approx([one.gflop / (1e-9 * MLP_FLOPS) for one in found])
    turns = [job.way for job in cores.asked[-12:]]
    assert turns == ["sgemm", "plain_processes", "vmap", "stacked"] * 3
    assert throughput.contract(peak, found) == {
        "sgemm_peak": 100.0,
        "results": {
            "mlp": {"256": {"plain_dataloader": 4.0, "plain_processes": 10.0, "vmap": 13.0, "stacked": 50.0}}
        },
    }


def test_a_process_says_what_went_wrong_and_goes_on():
    ours, theirs = multiprocessing.Pipe()
    process = threading.Thread(target=throughput.serve, args=(theirs, 0, None))
    process.start()
    ours.send(training.Job("stacked", 2, "no such model", 4))
    assert "KeyError: 'no such model'" in ours.recv()
    ours.send(training.Job("sgemm", 8))
    assert ours.recv() == ""
    ours.send(0.01)
    assert ours.recv() > 0
    ours.close()
    process.join(timeout=10)
    assert not process.is_alive()


def test_what_goes_wrong_in_a_process_is_raised_here():
    with throughput.Crew(1, 1) as crew:
        with pytest.raises(RuntimeError, match=r"(?s)every process to do Job.*KeyError: 'no such way'"):
            crew.gflop_a_second(training.Job("no such way", 2, "mlp", 4), 0.01)
        assert crew.gflop_a_second(training.Job("sgemm", 64), 0.01) > 0


def test_the_contract(tmp_path):
    options = ["--models", "mlp", "--batch", "2", "--rounds", "1", "--seconds", "0.02", "--json", "-"]
    done = subprocess.run(
        [sys.executable, SCRIPT, *options], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120
    )
    found = json.loads(done.stdout)
    assert list(found) == ["sgemm_peak", "results"]
    assert list(found["results"]) == ["mlp"]
    assert list(found["results"]["mlp"]) == ["2"]
    rates = found["results"]["mlp"]["2"]
    assert list(rates) == ["plain_dataloader", "plain_processes", "vmap", "stacked"]
    assert all(rate > 0 for rate in (found["sgemm_peak"], *rates.values()))
    assert list(tmp_path.iterdir()) == []


def test_without_torch_it_says_what_to_install():
    code = f"import runpy, sys; sys.modules['torch'] = None; runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert 'torch is not installed: pip install "robust-select[torch]"' in done.stderr.splitlines()[-1]


MEASURED = [
    throughput.Measured("model1", batch, way, "8", 1000.0, gflop, gflop / 150, gflop / 10, gflop / 30)
    for batch in (32, 64)
    for way, gflop in (("plain_dataloader", 10.0), ("plain_processes", 30.0), ("vmap", 25.0), ("stacked", 90.0))
]


def test_people_get_a_table():
    title, head, *lines = throughput.table(150.0, MEASURED)
    assert title == "sgemm peak of all cores: 150.0 GFLOP/s"
    assert len({len(line) for line in (head, *lines)}) == 1
    assert lines[3].split() == ["model1", "32", "stacked", "8", "1,000", "90.0", "60%", "9.00", "3.00"]


def test_table_and_figure_are_saved_with_machine_and_date(tmp_path):
    throughput.save(150.0, MEASURED, tmp_path / "results")
    content = json.loads((tmp_path / "results" / "throughput.json").read_text())
    assert content["machine"]["torch"] == torch.__version__
    assert content["machine"]["cores"] == throughput.n_cores()
    assert content["machine"]["cpu"]
    assert content["machine"]["date"][:2] == "20"
    assert content["results"]["model1"]["64"]["stacked"] == 90.0
    with (tmp_path / "results" / "throughput.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(MEASURED)
    assert (rows[3]["way"], rows[3]["gflop"], rows[3]["to_processes"]) == ("stacked", "90", "3")
    figure = (tmp_path / "results" / "throughput.svg").read_text()
    for text in ("model1, 32", "model1, 64", "plain, dataloader", "stacked", content["machine"]["date"]):
        assert text in figure


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--models", "model1,model9"], "expected --models among model1, .*resnet, came model9"),
        (["--batch", "32,many"], "expected --batch as numbers from 2 to 4096.*came 32,many"),
        (["--batch", "1"], "came 1"),
        (["--rounds", "0"], "expected --rounds from 1.*came 0"),
        (["--seconds", "0"], "--seconds"),
    ],
)
def test_options_that_cannot_be_are_said(options, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        throughput.main(options)
    assert stopped.value.code == 2
    assert re.search(said, capsys.readouterr().err.splitlines()[-1])  # after the usage
