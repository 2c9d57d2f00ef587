"""A read-only root without a folder for temporary files: commands answer, `doctor` names TMPDIR."""

import sys
import tempfile
from pathlib import Path

import pytest
import torch

from supsup_cli.data import image_buffer
from supsup_cli.errors import StorageError, UsageError
from supsup_cli.temporary import imports_without_temporary_folder, temporary_folder
from supsup_cli.workflows.plots import plot_recoveries
from tests.support.commands import ROOT, Ran, answer, make_class_folder, run, run_apart

# Every Python that finds this file loads it: none of the usual folders can be written.
_SITE = "import tempfile\ntempfile._candidate_tempdir_list = lambda: []\n"


@pytest.fixture
def apart(tmp_path: Path) -> dict[str, str]:
    """The environment of a process without a folder for temporary files."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(_SITE)
    return {"PYTHONPATH": f"{tmp_path / 'site'}:{ROOT}"}


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", list)


def _without(apart: dict[str, str], *words: object) -> Ran:
    return run_apart(*words, environment=apart)


@pytest.mark.parametrize(
    ("arch", "shape"),
    [("lenet-300-100", "1x28x28"), ("conv-4", "1x28x28"), ("gem-resnet18", "3x32x32"),
     pytest.param("resnet18", "3x32x32", marks=pytest.mark.slow), ("units-16-16", "1x28x28")],
)  # fmt: skip
def test_predict_answers_on_every_architecture(
    arch: str, shape: str, tmp_path: Path, apart: dict[str, str]
) -> None:
    bank = tmp_path / "bank"
    pets = make_class_folder(tmp_path / "pets", {"cat": 0, "dog": 15}, each=6)
    sizes = ("--arch", arch, "--input", shape, "--outputs", 20)
    assert run("init-base", "--bank", bank, *sizes).code == 0
    answer("learn-task", "--bank", bank, "--data", pets, "--steps", 1, "--batch-size", 2)
    ran = _without(apart, "predict", "--bank", bank, pets / "cat" / "000.png", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert ran.json["results"][0]["task"] == "pets"


def test_doctor_names_tmpdir_and_advises_to_install_nothing(
    tmp_path: Path, apart: dict[str, str]
) -> None:
    ran = _without(apart, "doctor", "--bank", tmp_path / "none", "--json")
    assert (ran.code, ran.json["ok"]) == (0, True)
    checks = {one["check"]: one for one in ran.json["checks"]}
    assert checks["torchvision"]["status"] == "ok"
    assert checks["temporary folder"]["status"] == "warning"
    assert "set TMPDIR to a folder that can be" in checks["temporary folder"]["hint"]
    assert "pip install" not in ran.out


@pytest.mark.usefixtures("nowhere")
def test_images_that_need_the_folder_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_buffer, "_IN_MEMORY", 0)
    with pytest.raises(StorageError, match="no folder for temporary files: no room for") as told:
        image_buffer.make_image_buffer(3, (1, 2, 2))
    assert told.value.hint == "set TMPDIR to a folder with room, and type the command again"
    assert told.value.exit_code == 13


@pytest.mark.usefixtures("nowhere")
def test_a_picture_that_needs_the_folder_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "matplotlib.figure":
                raise OSError("Matplotlib requires access to a writable cache directory\nmore")

    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Refusing(), *sys.meta_path])
    with pytest.raises(StorageError, match="no folder to write to") as told:
        plot_recoveries([("group", torch.ones(1, 1))], ("one",), 1, tmp_path / "one.png")
    assert "TMPDIR" in told.value.hint
    assert not issubclass(told.type, UsageError)


@pytest.mark.usefixtures("nowhere")
def test_the_stand_in_lasts_as_long_as_the_import() -> None:
    assert temporary_folder() is None
    with imports_without_temporary_folder():
        assert temporary_folder() == "/nonexistent"
    assert tempfile.tempdir is None


def test_a_folder_that_is_there_stays_the_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with imports_without_temporary_folder():
        assert temporary_folder() == str(tmp_path)
    assert tempfile.tempdir == str(tmp_path)
