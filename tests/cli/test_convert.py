import keras
import numpy as np
import pytest
from command_line import error
from examples import tiny
from safetensors import safe_open

from keras_maskrcnn.cli.convert import notes, write_model
from keras_maskrcnn.cli.main import main
from keras_maskrcnn.config.config import Config
from keras_maskrcnn.models.load import load_model
from keras_maskrcnn.models.mask_rcnn import MaskRCNN
from keras_maskrcnn.presets import PRESETS
from keras_maskrcnn.weights.files.read import read_checkpoint
from keras_maskrcnn.weights.files.write import write_half, write_pth
from keras_maskrcnn.weights.sources import detectron2, torchvision
from keras_maskrcnn.weights.sources.table import save

FAMILIES = {".pth": (torchvision, {}), ".pkl": (detectron2, {"background_outputs": False, "bgr": True})}
ROUND_TRIPS = [
    (".pth", {"background_outputs": False, "head_norm": "batch_norm", "box_convs": 1, "box_fcs": 1}),
    (".pkl", {}),
]


@pytest.mark.parametrize("ending", FAMILIES)
def test_a_model_trained_here_becomes_a_checkpoint_of_its_family(ending, tmp_path, capsys):
    source, changes = FAMILIES[ending]
    model = MaskRCNN(tiny(norm="frozen_batch_norm", **changes))
    model.save(tmp_path / "mine.keras")
    assert main(["convert", str(tmp_path / "mine.keras"), str(tmp_path / f"mine{ending}")]) == 0
    written, state = read_checkpoint(tmp_path / f"mine{ending}"), save(source.table(model.network))
    assert list(written) == list(state)
    for name, array in state.items():
        np.testing.assert_array_equal(written[name], array)
    shown = capsys.readouterr().out
    assert f"mine{ending} (2 classes, " in shown and "in their order: circle, square" in shown
    assert "min_size=64" in shown


def test_a_keras_file_is_copied_whole(tmp_path):
    model = MaskRCNN(tiny())
    model.save(tmp_path / "a.keras")
    assert main(["convert", str(tmp_path / "a.keras"), str(tmp_path / "b.keras")]) == 0
    for ours, theirs in zip(load_model(tmp_path / "b.keras").weights, model.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_a_framework_has_no_names_for_is_refused_and_nothing_is_written(tmp_path, capsys):
    MaskRCNN(tiny(mask_iou_head=True)).save(tmp_path / "mine.keras")
    line = error(capsys, "convert", tmp_path / "mine.keras", tmp_path / "mine.pkl")
    assert "Detectron2 has no names for a model with a mask_iou head" in line
    assert [path.name for path in tmp_path.iterdir()] == ["mine.keras"]


def test_half_precision_is_half_the_size_and_comes_back(source, tmp_path):
    half, config = tmp_path / "half.safetensors", tmp_path / "config.json"
    write_model(source, half)
    with safe_open(half, "np") as file:
        assert Config.from_json(file.metadata()["config"]) == source.config
    assert 0 < half.stat().st_size - 2 * source.count_params() < 40_000  # names and shapes
    config.write_text(source.config.to_json())
    assert main(["convert", str(half), str(tmp_path / "back.keras"), "--config", str(config)]) == 0
    for ours, theirs in zip(load_model(tmp_path / "back.keras").weights, source.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2**-11, atol=2**-25)


def test_a_weight_beyond_half_precision_is_named(tmp_path):
    state = {"a": np.ones(2, np.float32), "b": np.full(2, 7e4, np.float32)}
    with pytest.raises(ValueError, match="b holds values that half precision cannot"):
        write_half(tmp_path / "half.safetensors", state, "{}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending, changes", ROUND_TRIPS)
def test_ones_own_model_comes_back_with_its_config(ending, changes, tmp_path):
    """All but the outputs for the background, which nothing reads and Detectron2 does not have."""
    model = MaskRCNN(tiny(**changes))
    for weight in model.weights:
        weight.assign(np.random.default_rng(len(weight.path)).normal(size=weight.shape))
    checkpoint, config = tmp_path / f"mine{ending}", tmp_path / "config.json"
    write_model(model, checkpoint)
    config.write_text(model.config.to_json())
    arguments = ["convert", str(checkpoint), str(tmp_path / "back.keras"), "--config", str(config)]
    assert main(arguments) == 0
    back = load_model(tmp_path / "back.keras")
    assert back.config == model.config
    lost = ending == ".pkl"
    for ours, theirs in zip(back.weights, model.weights, strict=True):
        ours, path, theirs = ours.numpy(), theirs.path, theirs.numpy()
        rows = {"box_head/deltas": 4, "mask_head/logits": 1}.get(path.rpartition("/")[0], 0)
        if lost and rows:
            assert not ours[..., :rows].any()
            ours, theirs = ours[..., rows:], theirs[..., rows:]
        np.testing.assert_array_equal(ours, theirs)


def test_a_backup_comes_back_too(source, tmp_path):
    model = source
    model.save_weights(tmp_path / "backup.weights.h5")
    (tmp_path / "config.json").write_text(model.config.to_json())
    arguments = [str(tmp_path / name) for name in ("backup.weights.h5", "back.keras")]
    assert main(["convert", *arguments, "--config", str(tmp_path / "config.json")]) == 0
    for ours, theirs in zip(load_model(tmp_path / "back.keras").weights, model.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_config_of_another_model_is_refused_with_the_first_tensor_that_does_not_fit(
    source, tmp_path, capsys
):
    write_model(source, tmp_path / "mine.pth")
    (tmp_path / "other.json").write_text(tiny(fpn_channels=64).to_json())
    files = tmp_path / "mine.pth", tmp_path / "back.keras", "--config", tmp_path / "other.json"
    line = error(capsys, "convert", *files)
    assert "mine.pth is not of the model that the Config describes" in line and "has shape" in line
    (tmp_path / "part.json").write_text('{"depth": 18}')
    files = tmp_path / "mine.pth", tmp_path / "back.keras", "--config", tmp_path / "part.json"
    assert "--config has no class_names: --classes must name" in error(capsys, "convert", *files)


def test_arguments_that_do_not_go_together_are_refused(tmp_path, capsys):
    checkpoint = tmp_path / "a.pth"
    checkpoint.write_bytes(b"PK")
    out = tmp_path / "out.keras"
    assert "a.pth: --model NAME must say" in error(capsys, "convert", checkpoint, out)
    assert "no.pth: there is no such file" in error(capsys, "convert", tmp_path / "no.pth", out)
    assert "it must end in .keras, .pth, .pkl, .safetensors" in error(
        capsys, "convert", checkpoint, tmp_path / "out.onnx"
    )
    line = error(capsys, "convert", "resnet50", out, "--classes", "cat")
    assert "resnet50 says itself what it is: leave out --model, --config and --classes" in line
    (tmp_path / "config.json").write_text('{"depth": 18}')
    both = "--config", tmp_path / "config.json", "--model", "maskrcnn_resnet50_fpn_coco"
    assert "leave out one of them" in error(capsys, "convert", checkpoint, out, *both)
    line = error(capsys, "convert", checkpoint, out, "--model", "mask_rcnn")
    assert "No published model is called 'mask_rcnn'; nearest: " in line


def test_a_broken_checkpoint_is_named_with_the_reason(tmp_path, capsys):
    (tmp_path / "a.pth").write_text("no checkpoint")
    line = error(
        *(capsys, "convert", tmp_path / "a.pth", tmp_path / "a.keras"),
        *("--model", "maskrcnn_resnet50_fpn_coco"),
    )
    assert "a.pth is a text file, not a checkpoint" in line
    assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]


def test_notes_say_what_no_checkpoint_holds():
    told = notes(PRESETS["maskrcnn_resnet50_fpn_v2_coco"].config, ".pth")
    assert told[0] == (
        "The file holds tensors only. Classes, in their order: person, bicycle, car, motorcycle, airplane, ..."
    )
    assert told[1].startswith("torchvision builds it so") and "maskrcnn_resnet50_fpn_v2(" in told[2]
    first = notes(PRESETS["maskrcnn_resnet50_fpn_coco"].config, ".pth")
    assert first[1] == "Where this model differs from torchvision's maskrcnn_resnet50_fpn: norm_epsilon=0.0"
    here = notes(Config(class_names=("cat",), stride_in_1x1=True), ".pth")
    assert here[1].endswith("maskrcnn_resnet50_fpn: stride_in_1x1=True")
    gn = notes(PRESETS["Misc/mask_rcnn_R_50_FPN_3x_gn"].config, ".pkl")
    assert "Detectron2's mask_rcnn_R_50_FPN: norm='group_norm', " in gn[1]
    assert gn[1].endswith("stride_in_1x1=False") and "cfg.MODEL.RESNETS.NORM = 'GN'" in gn[3]


def test_notes_say_what_the_network_is_made_of():
    config = Config(
        class_names=("cat",), depth=18, fpn_channels=64, norm="group_norm", keypoint_names=("nose",)
    )
    said = notes(config, ".pth")
    assert said[1].endswith("depth=18, norm='group_norm', fpn_channels=64, keypoint_names=('nose',)")
    assert "partial(nn.GroupNorm, 32)" in said[3] and "model.load_state_dict(torch.load(FILE))" in said[3]
    assert notes(Config(class_names=("cat",)), ".keras") == []


@pytest.mark.slow
def test_a_published_file_becomes_ours_and_theirs_again(tmp_path):
    keras.utils.set_random_seed(0)
    name = "maskrcnn_resnet50_fpn_coco"
    state = save(torchvision.table(MaskRCNN(PRESETS[name].config).network))
    write_pth(tmp_path / "a.pth", state)
    arguments = ["convert", str(tmp_path / "a.pth"), str(tmp_path / "a.keras"), "--model", name]
    assert main(arguments) == 0
    assert main(["convert", str(tmp_path / "a.keras"), str(tmp_path / "b.pth")]) == 0
    assert (tmp_path / "a.pth").read_bytes() == (tmp_path / "b.pth").read_bytes()
