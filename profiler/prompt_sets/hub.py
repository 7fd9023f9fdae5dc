"""A published set's files from the Hugging Face hub, or its local cache."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from profiler.errors import UserError
from profiler.prompt_sets.published import PUBLISHED


def hub_files(name: str, repo: str, where: str) -> Iterator[tuple[Path, str]]:
    """Each file of a set with the category of its rows where no column has it, downloaded unless it is cached.

    Raises:
        UserError: no such repository or file, no access, or the hub cannot be reached.
    """
    layout = PUBLISHED[name]
    for file, category in layout.files.items():
        yield _file(name, repo or layout.repo, file, where), category


def _file(name: str, repo: str, file: str, where: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        # What is cached is taken as it is: a run may be repeated without the network, on the same prompts.
        return Path(hf_hub_download(repo, file, repo_type="dataset", local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    try:
        with _quiet():
            return Path(hf_hub_download(repo, file, repo_type="dataset"))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"{where}: cannot get {file} of {repo} from the hub ({reason}): "
            f"check the id, access, network, or give a file: {name}:path.csv"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """The hub's client tells each of its attempts; the error at the end says it once."""
    log = logging.getLogger("huggingface_hub")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)
