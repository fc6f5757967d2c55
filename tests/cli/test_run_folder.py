"""The folder of a run, whatever moment it was interrupted in."""

import pytest
from examples import tiny

from keras_maskrcnn.cli.run_folder import DEFAULTS, SETTINGS, RunFolder


@pytest.fixture
def run(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.write(tiny(), {**dict.fromkeys(SETTINGS), **DEFAULTS})
    return folder


def log(run, epochs):
    rows = [f"{epoch},0.5" for epoch in range(1, epochs + 1)]
    run.log.write_text("\n".join(["epoch,loss", *rows]) + "\n")


def test_a_run_that_was_killed_between_its_first_log_and_its_first_backup_is_resumed(run):
    log(run, epochs=1)
    run.model.write_bytes(b"of epoch 1")
    run.check(resume=True)  # epoch 1 is trained again
    with pytest.raises(ValueError, match="a run is there already"):
        run.check(resume=False)


def test_a_run_of_more_epochs_needs_its_backup(run):
    log(run, epochs=2)
    with pytest.raises(ValueError, match=r"cannot be resumed without its backup\.weights\.h5"):
        run.check(resume=True)
    run.backup.write_bytes(b"of epoch 2")
    run.check(resume=True)


def test_a_run_that_was_killed_before_its_settings_were_written_is_begun_anew(run):
    run.settings.unlink()
    run.check(resume=False)
    with pytest.raises(ValueError, match="there is no run to resume"):
        run.check(resume=True)
