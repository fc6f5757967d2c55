"""The recipes of docs/experiments.md run as pasted, and what the tools recorded is what the training logged."""

import contextlib
import math

import docs_folder
import keras
import pytest
import wandb_file
from examples_in_docs import blocks
from places import ROOT

import keras_maskrcnn as km
from keras_maskrcnn.config.config import Config
from keras_maskrcnn.evaluation import evaluate
from keras_maskrcnn.models.mask_rcnn import MaskRCNN

PAGE = (ROOT / "docs" / "experiments.md").read_text("utf-8")


@pytest.fixture
def run_recipe(tmp_path, monkeypatch, untraced):
    """Runs the page's first block and the one that has some text, in a folder with its images; models are small."""
    (tmp_path / "folder").mkdir()
    docs_folder.fill(tmp_path / "folder", tmp_path / "scratch")
    monkeypatch.setattr(Config.__init__, "__defaults__", docs_folder.small_defaults())
    histories, evaluated = [], []
    fit = MaskRCNN.fit

    def kept(self, *args, **kwargs):
        history = fit(self, *args, **kwargs)
        histories.append(history.history)
        return history

    monkeypatch.setattr(MaskRCNN, "fit", kept)

    def scores(*_, **__):
        """Precisions that rise: two steps find nothing, and zeros could be anybody's."""
        evaluated.append(0.1 * (1 + len(evaluated)))
        kinds = ("box_AP", "box_AP50", "mask_AP", "mask_AP50")
        return {kind: evaluated[-1] + place / 7 for place, kind in enumerate(kinds)}

    monkeypatch.setattr(evaluate, "evaluate_coco", scores)

    def run(text):
        first, *others = [block for block in blocks(PAGE) if block.language == "python"]
        (recipe,) = [block for block in others if text in block.code]
        names = {}
        with contextlib.chdir(tmp_path / "folder"):
            for block in (first, recipe):
                exec(compile("\n" * (block.line - 1) + block.code, "experiments.md", "exec"), names)
        return tmp_path / "folder", names, histories

    return run


def assert_same(found, history):
    """Compare values by name and epoch with what `fit` returned."""
    assert {"loss", "mask_loss", "rpn_class_loss", "val_mask_AP", "val_box_AP50"} <= set(history)
    for name, values in history.items():
        assert len(found[name]) == len(values) == 2, name
        for one, other in zip(found[name], values, strict=True):
            assert one == pytest.approx(other, rel=1e-12) or (math.isnan(one) and math.isnan(other)), name


def test_mlflow_has_losses_by_name_precisions_config_and_the_best_model(run_recipe):
    mlflow = pytest.importorskip("mlflow")
    folder, names, (history,) = run_recipe("import mlflow")
    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    (run,) = client.search_runs(["0"])
    found = {name: client.get_metric_history(run.info.run_id, name) for name in history}
    assert all([metric.step for metric in metrics] == [0, 1] for metrics in found.values())
    assert_same({name: [metric.value for metric in metrics] for name, metrics in found.items()}, history)
    assert run.data.params["batch_size"] == "2"
    with contextlib.chdir(folder):
        path = mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/best.keras")
        assert km.load_model(path).config == names["config"]
        config = mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/config.json")
    assert Config.from_dict(config) == names["config"]


def test_wandb_has_losses_by_name_precisions_config_and_the_best_model(run_recipe, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    folder, names, (history,) = run_recipe("import wandb")
    names["wandb"].teardown()  # only then its service has written all of the file
    (path,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    rows, config, artifacts = wandb_file.logged(path)
    epochs = [row for row in rows if "epoch/epoch" in row]
    assert [row["epoch/epoch"] for row in epochs] == [0, 1]
    assert_same({name: [row[f"epoch/{name}"] for row in epochs] for name in history}, history)
    schedule = names["model"].optimizer._learning_rate
    assert [row["epoch/learning_rate"] for row in epochs] == pytest.approx(
        [float(keras.ops.convert_to_numpy(schedule(steps))) for steps in (1, 2)], rel=1e-6
    )
    assert config["batch_size"] == 2
    assert Config.from_dict({name: config[name] for name in names["config"].to_dict()}) == names["config"]
    assert artifacts == ["best"]


def test_keras_tuner_chooses_fields_of_the_config_by_the_precision(run_recipe):
    pytest.importorskip("keras_tuner")
    pytest.importorskip("tensorboard")  # which it imports, and does not say so
    _, names, histories = run_recipe("import keras_tuner")
    trials = names["tuner"].oracle.get_best_trials(2)
    assert len(histories) == len(trials) == 2
    # The second evaluation has the better score, of those that are made up here.
    assert [trial.score for trial in trials] == [history["val_mask_AP"][0] for history in histories[::-1]]
    chosen, best = trials[0].hyperparameters.values, names["best"].config
    assert chosen != trials[1].hyperparameters.values
    assert (best.min_size, best.mask_convs) == (chosen["min_size"], chosen["mask_convs"])
    scale = chosen["anchor_scale"]
    assert best.anchor_sizes == tuple((scale * side,) for (side,) in names["config"].anchor_sizes)
    assert float(names["best"].optimizer.learning_rate) == pytest.approx(chosen["learning_rate"], rel=1e-6)
