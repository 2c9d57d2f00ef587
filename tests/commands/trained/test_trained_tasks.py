"""Tasks over trained networks: learned, told apart, exported; stopped ones continue."""

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from bank_format.bank import Bank
from supsup_cli.core.images import Pixels
from supsup_cli.core.masks.superposition import masked_forward
from supsup_cli.core.networks.head import find_head, head_values, pooled_features
from supsup_cli.core.signatures.features import roots
from supsup_cli.workflows.inference.decisions import decide
from supsup_cli.workflows.inference.rules import DecisionRequest, choose_rule
from supsup_cli.workflows.opening import open_network, open_tasks
from supsup_cli.workflows.reporting import Silent
from tests.support.commands import ROOT, answer, learn, run
from tests.support.trained import (
    FAMILIES,
    SMALL_FAMILIES,
    library_network,
    photo_folder,
    save_library_network,
)

LITE = (
    Path(__file__).parents[4] / "shared/data/weights/timm-efficientnet_lite0-imagenet.safetensors"
)


def _bank(root: Path, name: str) -> Path:
    file = root / "net.safetensors"
    save_library_network(name, file)
    side = FAMILIES[name]
    words = ("--arch", name, "--input", f"3x{side}x{side}", "--weights", file)
    assert run("init-base", "--bank", root / "bank", *words).code == 0
    return root / "bank"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a bank of two tasks over a network of torchvision."""
    root = tmp_path_factory.mktemp("trained")
    bank = _bank(root, "shufflenet_v2_x0_5")
    for task, classes in (("pets", ("cat", "dog")), ("cars", ("bus", "van", "truck"))):
        learn(bank, photo_folder(root / task, classes, 64), steps=6)
    return root


def test_a_task_drops_its_share_and_has_a_head_of_its_own(root: Path) -> None:
    task = Bank.open(root / "bank").read_task("cars")
    assert {
        name: (one.dtype, one.shape) for name, one in task.arrays.items() if "head" in name
    } == {
        "head/bias": (np.dtype("float16"), (3,)),
        "head/weight": (np.dtype("float16"), (3, 1024)),
    }
    assert task.content.version == 2
    assert round((1 - task.density) * task.weights) == round(0.002 * task.weights)
    assert task.content.recipe.name == "default-trained"
    assert task.content.recipe.settings["drop"] == 0.002
    assert not task.statistics


def test_an_earlier_tasks_answers_stay_as_they_are(root: Path) -> None:
    images = torch.rand(2, 3, 64, 64)
    alone, both = (open_tasks(root / "bank", "cpu", names) for names in (["pets"], None))
    index = both.names.index("pets")
    logits = [
        masked_forward(one.net.network, one.stack.masks(place), images)
        for one, place in ((alone, 0), (both, index))
    ]
    assert torch.equal(*logits)
    assert (logits[0][:, 2:] == -1e4).all()


def test_the_same_again_exists_and_other_recipes_have_no_meaning(root: Path) -> None:
    words = ("learn-task", "--bank", root / "bank", "--data", root / "pets", "--steps", 6)
    assert answer(*words)["tasks"][0]["status"] == "exists"
    assert run(*words, "--augment", "none").code == 11
    for more in (
        ("--recipe", "fast"),
        ("--density", "0.1"),
        ("--transfer",),
        ("--combine", "0.5"),
    ):
        ran = run(*words, *more)
        assert (ran.code, "a trained network" in ran.err) == (2, True), ran


@pytest.mark.parametrize("words", [(), ("--task", "pets")])
def test_a_line_that_names_nothing_is_an_answer_too(
    root: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("gone.png\n"))
    ran = run("predict", "--bank", root / "bank", "--json-lines", *words, "-")
    assert ran.code == 3, ran
    told = json.loads(ran.out)
    assert (told["source"], told["task"]) == ("gone.png", None)
    assert told["error"].startswith("gone.png: ")


def test_images_are_told_apart_and_mixtures_are_refused(root: Path) -> None:
    bank = root / "bank"
    for method in ("auto", "signature", "exhaustive"):
        words = ("predict", root / "pets", "--bank", bank, "--method", method, "--limit", 4)
        results = answer(*words)["results"]
        assert {one["task"] for one in results} <= {"pets", "cars"}
    for method in ("one-shot", "binary", "descent"):
        ran = run("predict", root / "pets", "--bank", bank, "--method", method)
        assert (ran.code, "last layers of their own" in ran.err) == (2, True)
    ran = run("learn-stream", "--bank", bank, "--data", "mnist-perm-0")
    assert (ran.code, "last layers of their own" in ran.err) == (2, True)


def test_a_decision_adds_the_largest_logit_to_the_pooled_signatures(root: Path) -> None:
    opened = open_tasks(root / "bank", "cpu")
    rule = choose_rule(opened, DecisionRequest("auto", None, "image", "cpu"), Silent())
    assert rule.signatures is not None
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 64, 64), dtype=np.uint8)
    found = decide(opened, rule, images, [[place] for place in range(5)])
    inputs = opened.net.pixels(torch.from_numpy(images))
    features = pooled_features(opened.net.network, inputs)
    near = rule.signatures.table.candidates(roots(features)[:, None])
    signs = torch.zeros(5, 2, dtype=torch.float64).scatter(1, near.tasks, near.scores)
    for index, task in enumerate(opened.tasks):
        own = [one.output for one in task.content.classes]
        logits = masked_forward(opened.net.network, opened.stack.masks(index), inputs)
        signs[:, index] += 0.3 * logits[:, own].amax(1)
    expected = signs.log_softmax(1).float()
    torch.testing.assert_close(torch.from_numpy(found.scores), expected, rtol=1e-3, atol=1e-3)
    assert found.tried.tolist() == [2] * 5


def test_a_task_without_a_signature_is_tried_for_every_photo(root: Path, tmp_path: Path) -> None:
    bank = tmp_path / "bank"
    shutil.copytree(root / "bank", bank)
    folder = photo_folder(tmp_path / "boats", ("ship", "raft"), 64)
    learn(bank, folder, steps=6, more=("--no-signature",))
    scores = answer("infer-task", root / "pets", "--bank", bank, "--top", 3)["results"]
    assert all("boats" in dict(one["scores"]) for one in scores)
    answer("tasks", "sign", "--bank", bank)
    assert open_tasks(bank, "cpu").names == ["boats", "cars", "pets"]
    rule = choose_rule(
        open_tasks(bank, "cpu"), DecisionRequest("auto", None, "image", "cpu"), Silent()
    )
    assert rule.signatures is not None
    assert len(rule.signatures.unsigned) == 0


def test_a_copy_and_an_export_carry_the_head(root: Path, tmp_path: Path) -> None:
    bank = root / "bank"
    words = ("tasks", "copy", "pets", "--from", bank, "--as", "twin", "--bank", bank)
    answer(*words)
    assert answer(*words)["tasks"][0]["task"] == "twin"
    twin, task = (Bank.open(bank).read_task(name) for name in ("twin", "pets"))
    assert (twin.arrays["head/weight"] == task.arrays["head/weight"]).all()
    answer("tasks", "remove", "twin", "--bank", bank, "--yes")
    file = tmp_path / "pets.safetensors"
    answer("tasks", "export", "pets", file, "--bank", bank)
    network = library_network("shufflenet_v2_x0_5", 10)
    missing = network.load_state_dict(load_file(file), strict=False).missing_keys
    assert all(name.endswith("num_batches_tracked") for name in missing)
    with safe_open(file, framework="pt") as opened:
        stated = json.loads(opened.metadata()["supsup"])["input"]
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    mean, std = (torch.tensor(stated[key])[:, None, None] for key in ("mean", "std"))
    with torch.no_grad():
        logits = network((images / 255 - mean) / std)
    opened_tasks = open_tasks(bank, "cpu", ["pets"])
    inputs = opened_tasks.net.pixels(images)
    ours = masked_forward(opened_tasks.net.network, opened_tasks.stack.masks(0), inputs)
    assert torch.allclose(logits, ours, rtol=1e-4, atol=1e-4)


def _exported_agrees(bank: Path, task: str, side: int, file: Path) -> bool:
    """Export a task as ONNX, and compare its logits with the bank's."""
    answer("tasks", "export", task, file, "--bank", bank)
    images = np.random.RandomState(0).randint(0, 256, (3, 3, side, side)).astype(np.uint8)
    (found,) = onnxruntime.InferenceSession(file.read_bytes()).run(["logits"], {"images": images})
    opened = open_tasks(bank, "cpu", [task])
    inputs = opened.net.pixels(torch.from_numpy(images))
    expected = masked_forward(opened.net.network, opened.stack.masks(0), inputs).numpy()
    return bool(np.allclose(found, expected, rtol=1e-4, atol=1e-3))


@pytest.mark.parametrize(
    "name",
    [
        name if name == SMALL_FAMILIES[0] else pytest.param(name, marks=pytest.mark.slow)
        for name in FAMILIES
    ],
)
def test_every_family_learns_answers_and_is_exported(name: str, tmp_path: Path) -> None:
    bank, side = _bank(tmp_path, name), FAMILIES[name]
    folder = photo_folder(tmp_path / "pets", ("cat", "dog"), side, each=6)
    learn(bank, folder, steps=3, more=("--batch-size", 4))
    results = answer("predict", folder, "--bank", bank)["results"]
    assert [one["task"] for one in results] == ["pets"] * 12
    assert _exported_agrees(bank, "pets", side, tmp_path / "pets.onnx")


@pytest.mark.slow
def test_timms_efficientnet_lite0_gives_timms_own_logits(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    if not LITE.is_file():
        pytest.skip("the file of weights is not there")
    words = ("--arch", "timm/efficientnet_lite0", "--input", "3x96x96", "--weights", LITE)
    assert run("init-base", "--bank", tmp_path / "bank", *words).code == 0
    net = open_network(tmp_path / "bank", "cpu")
    state = load_file(LITE)
    theirs = timm.create_model("efficientnet_lite0", pretrained=False).eval()
    theirs.load_state_dict(state)
    images = torch.randint(0, 256, (4, 3, 96, 96), dtype=torch.uint8)
    inputs = net.pixels(images)
    assert isinstance(net.pixels, Pixels)
    found = find_head(net.network)
    assert found is not None
    rows = torch.arange(1000)
    head = head_values(
        net.network, state["classifier.weight"], state["classifier.bias"], rows, 1000
    )
    with torch.no_grad():
        expected = theirs(inputs)
        assert torch.allclose(masked_forward(net.network, head, inputs), expected, atol=1e-4)
        assert torch.allclose(
            pooled_features(net.network, inputs),
            theirs.forward_head(theirs.forward_features(inputs), pre_logits=True),
            atol=1e-4,
        )
    folder = photo_folder(tmp_path / "pets", ("cat", "dog"), 96)
    learn(tmp_path / "bank", folder, steps=3)
    assert _exported_agrees(tmp_path / "bank", "pets", 96, tmp_path / "pets.onnx")


_TEN_STEPS = """
import resource, sys
from supsup_cli.cli import main
code = main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.slow
def test_a_vision_transformer_learns_ten_steps_within_6_gb(tmp_path: Path) -> None:
    file, bank = tmp_path / "net.safetensors", tmp_path / "bank"
    save_library_network("vit_b_16", file)
    made = ("init-base", "--bank", bank, "--arch", "vit_b_16", "--weights", file)
    assert run(*made).code == 0
    assert Bank.open(bank).record.input.shape == (3, 224, 224)
    folder = photo_folder(tmp_path / "pets", ("cat", "dog"), 224, each=40)
    words = ("learn-task", "--bank", bank, "--data", folder, "--steps", 10, "--quiet")
    done = subprocess.run(
        [sys.executable, "-c", _TEN_STEPS, *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kilobytes = int(done.stderr.split()[-1])
    assert kilobytes < 6e6
    assert Bank.open(bank).read_task("pets").content.steps == 10
