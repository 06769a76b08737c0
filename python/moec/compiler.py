"""Runs moe-compile: a checkpoint, or a module, becomes an artifact.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
from typing import Any, Union

from moec import home

Path = Union[str, "os.PathLike[str]"]


class CompileError(RuntimeError):
    """moe-compile did not make an artifact. `message` and str() are what it said; `exit_code` is 1 when the input does not
    compile, 2 when an option is wrong, negative when a signal ended it, and None when it could not be started."""

    def __init__(self, message: str, exit_code: int | None = None):
        super().__init__(message, exit_code)
        self.message, self.exit_code = message, exit_code

    def __str__(self) -> str:
        return self.message


def arguments(options: dict[str, Any]) -> list[str]:
    """Options as moe-compile takes them: two_stage=2 is --two-stage=2, True is a flag, a list repeats its option, None and
    False leave it out."""
    found = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        for item in value if isinstance(value, (list, tuple)) else [value]:
            if item is True:
                found.append(flag)
            elif item is not None and item is not False:
                found.append(f"{flag}={os.fspath(item) if isinstance(item, os.PathLike) else item}")
    return found


def run(model: Path, more: list[str]) -> str:
    """Runs moe-compile; returns what it printed."""
    try:
        command = [str(home.find("bin/moe-compile")), os.fspath(model), *more]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)
    except OSError as error:
        raise CompileError(str(error)) from None
    if done.returncode != 0:
        text = done.stderr.strip() or f"moe-compile ended with {done.returncode} and said nothing"
        raise CompileError(re.sub(r"^moe-compile: ", "", text, flags=re.MULTILINE), done.returncode)
    return done.stdout


def compile(model: Path, out: Path, **options: Any) -> pathlib.Path:
    """Compiles a checkpoint (a folder as the Hugging Face hub has it) or a module (.mlir) into the artifact directory `out`.

    Options are those of `moe-compile --help` with underscores: compile(model, out, compress=True, clusters=4, rank=16,
    profile="traffic.safetensors"). Without options nothing is lost: outputs are the model's up to rounding.

    Returns the path of the artifact, for load(). Raises CompileError; an older artifact at `out` is then as it was."""
    run(model, ["-o", os.fspath(out), *arguments(options)])
    return pathlib.Path(out)


def plan(model: Path, **options: Any) -> str:
    """What compile(model, ..., **options) would do and lose, as text; writes nothing. Raises CompileError."""
    return run(model, [*arguments({**options, "dry_run": True})])
