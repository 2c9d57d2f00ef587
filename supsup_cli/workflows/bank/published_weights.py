"""`--weights imagenet`: let a library fetch the weights that it publishes, and check them.

torchvision publishes pickles. Only this module reads one: with `weights_only=True`, which builds
nothing but tensors, and only if its SHA-256 begins with the digits in the name that torchvision
gives it. timm's files are safetensors.
"""

import hashlib
import logging
import re
import shlex
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlparse

import torch

from supsup_cli.core.networks.library import TIMM, TORCHVISION
from supsup_cli.errors import NoInputError, UsageError
from supsup_cli.workflows.bank.library_weights import (
    IN_FOLDER,
    LibraryWeights,
    from_state,
    read_library_file,
)
from supsup_cli.workflows.bank.pretrained import CONVERT, Shapes

# torchvision writes at least so many digits of a file's SHA-256 into its name.
_NAMED = re.compile(r"-([a-f0-9]{8,64})\.")
_HUB = "https://huggingface.co"


def fetch_published(arch: str, shapes: Shapes) -> LibraryWeights:
    """Fetch a network's published weights, or read them from the library's cache.

    Args:
        arch: torchvision/NAME or timm/NAME.
        shapes: name → shape of all `base_tensors`.

    Raises:
        NoInputError: they cannot be fetched; the message names the file to bring, and how.
        UsageError: there are none, or the file is not the published one.
    """
    if arch.startswith(TIMM):
        file = _of_timm(arch)
        return read_library_file(file, shapes)
    return fetch_torchvision(arch, published_url(arch), shapes)


def published_url(arch: str) -> str:
    """Return the address of the weights that torchvision recommends for a network.

    Raises:
        UsageError: it publishes none.
    """
    from torchvision import models

    weights = models.get_model_weights(arch.removeprefix(TORCHVISION))
    if not list(weights):
        raise UsageError(f"--weights imagenet: torchvision publishes none for {arch}")
    return str(weights.DEFAULT.url)


def fetch_torchvision(arch: str, url: str, shapes: Shapes) -> LibraryWeights:
    """Fetch one of torchvision's files; its name must hold the first digits of its SHA-256.

    Args:
        arch: torchvision/NAME, for messages.
        url: of the file.
        shapes: see `fetch_published`.

    Raises:
        NoInputError, UsageError: see `fetch_published`.
    """
    name = Path(urlparse(url).path).name
    stated = _NAMED.search(name)
    if stated is None:
        raise UsageError(f"{url}: no digits of a SHA-256 found in the name, expected some")
    file = Path(torch.hub.get_dir()) / "checkpoints" / name
    try:
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(file), stated[1], progress=False)
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        if not digest.startswith(stated[1]):  # it was in the cache already
            raise UsageError(
                f"{file}: SHA-256 {digest[:16]}… found, expected {stated[1]}…",
                hint=f"rm {shlex.quote(str(file))}; and try again",
            )
        state = torch.hub.load_state_dict_from_url(url, map_location="cpu", weights_only=True)
    except (URLError, OSError) as error:
        raise _bring(url, arch, error, f"{CONVERT.format(source=name)}") from error
    except UsageError:
        raise
    except Exception as error:  # torch's errors on broken or hostile files have no common type
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UsageError(
            f"{url}: {reason[:200]}, expected torchvision's file",
            hint=f"rm {shlex.quote(str(file))}; and try again",
        ) from error
    if not isinstance(state, dict) or not all(
        isinstance(one, torch.Tensor) for one in state.values()
    ):
        raise UsageError(f"{url}: no state dict found, expected torchvision's file")
    return from_state(url, digest, state, shapes)


def _of_timm(arch: str) -> Path:
    import huggingface_hub
    import timm

    known = timm.get_pretrained_cfg(arch.removeprefix(TIMM))
    place = None if known is None else known.hf_hub_id
    if not place:
        raise UsageError(f"--weights imagenet: timm publishes none for {arch}")
    url = f"{_HUB}/{place}/resolve/main/{IN_FOLDER}"
    huggingface_hub.utils.logging.set_verbosity(logging.CRITICAL)  # supsup reports failures
    try:
        return Path(huggingface_hub.hf_hub_download(place, IN_FOLDER))
    except Exception as error:  # its errors have no common base class, and vary with its version
        raise _bring(url, arch, error, "") from error


def _bring(url: str, arch: str, error: Exception, convert: str) -> NoInputError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    steps, made = f"curl -LO {url}", IN_FOLDER
    if convert:
        steps, made = f"{steps}; {convert}", "net.safetensors"
    return NoInputError(
        f"{url}: cannot be fetched ({reason[:200]}); bring this file from a machine with network",
        hint=f"{steps}; supsup init-base --arch {arch} --weights {made}",
    )
