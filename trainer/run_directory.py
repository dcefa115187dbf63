"""A run's directory: what was asked for (config.yaml), where it ran (environment.json), how it went, and how to go on.

config.yaml  environment.json  metrics.csv  corpus.npy  last.ckpt  previous.ckpt
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from edged.errors import ConfigError, UsageError
from trainer.checkpoints import NEWEST_FIRST, latest_checkpoint
from trainer.environment import ENVIRONMENT, add_environment
from trainer.files import write_whole
from trainer.processes import is_first_process

CONFIG = "config.yaml"
LEFT_AFTER_S = 3600.0

OF_EVERY_RUN = "recipe"
"""Field that tells a run's configuration from another program's file of the same name."""


@dataclass(frozen=True)
class RunDirectory:
    """A directory that belongs to one recipe on one set of data; see `open`."""

    path: Path

    @classmethod
    def open(cls, path: Path, config: Mapping[str, Any], *, resume: bool) -> RunDirectory:
        """Take a directory for a run, or go on with the run it holds.

        Of several processes that train together only the first looks and writes.

        Args:
            path: made if need be.
            config: recipe, data and seed, as YAML can hold them; what results depend on, and nothing else.
            resume: whether a run that is there is to go on; where there is none it begins.

        Raises:
            UsageError: the directory holds other files, or a run that is not to go on.
            ConfigError: the run there is of another recipe or data; the fields that differ are named.
            StorageError: the directory cannot be written.
        """
        directory = cls(path)
        if is_first_process():
            directory._refuse_other(config)
            directory._refuse_restart(resume)
            _sweep(path)
            write_whole(path / CONFIG, yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True).encode())
            add_environment(path / ENVIRONMENT)
        return directory

    def checkpoint(self, *, resume: bool) -> Path | None:
        """Where the run goes on, if it does; see `latest_checkpoint`."""
        return latest_checkpoint(self.path) if resume else None

    @property
    def _has_checkpoint(self) -> bool:
        """Of the run, or of one of its stages."""
        return any(any(self.path.glob(place)) for name in NEWEST_FIRST for place in (name, f"*/{name}"))

    def _refuse_other(self, config: Mapping[str, Any]) -> None:
        before = _read(self.path / CONFIG) if (self.path / CONFIG).is_file() else {}
        if OF_EVERY_RUN not in before:
            if any(entry.suffix != ".partial" for entry in _entries(self.path)):
                fix = "name a new or empty directory with --run"
                raise UsageError(f"{self.path}: holds files that are of no run", fix=fix)
            return
        if not self._has_checkpoint:
            return  # nothing was learned yet: a start that failed does not bind the next one
        changed = "; ".join(differences(before, yaml.safe_load(yaml.safe_dump(dict(config)))))
        if changed:
            fix = "take the same recipe, data and seed, or another directory with --run"
            raise ConfigError(f"{self.path}: belongs to another run: {changed}", fix=fix)

    def _refuse_restart(self, resume: bool) -> None:
        if not resume and self._has_checkpoint:
            fix = "add --resume to go on with it, or name another directory with --run"
            raise UsageError(f"{self.path}: holds a run already", fix=fix)


def recipe_of_run(path: Path) -> dict[str, Any] | None:
    """The fields of the recipe that the run in a directory was begun with; None where it noted none.

    Raises:
        ConfigError: its configuration is damaged.
    """
    recipe = _read(path / CONFIG).get("recipe") if (path / CONFIG).is_file() else None
    return dict(recipe) if isinstance(recipe, Mapping) else None


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Fields that differ, with both values.

    >>> differences({"recipe": {"batch_size": 8}, "seed": 0}, {"recipe": {"batch_size": 16}, "seed": 0})
    ['recipe.batch_size was 8, is 16']
    """
    old, new = dict(_fields(before)), dict(_fields(now))
    names = dict.fromkeys([*old, *new])
    return [f"{n} was {old.get(n)}, is {new.get(n)}" for n in names if old.get(n) != new.get(n)]


def _fields(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _fields(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _read(path: Path) -> Mapping[str, Any]:
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: damaged", fix="name another directory with --run") from error
    if not isinstance(config, Mapping):
        raise ConfigError(f"{path}: no run's configuration", fix="name another directory with --run")
    return config


def _sweep(path: Path) -> None:
    """Remove what killed processes were writing; another one may be at it now."""
    for left in path.glob(".*.partial"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > LEFT_AFTER_S:
                left.unlink()


def _entries(path: Path) -> list[Path]:
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path}: not a directory", fix="name another with --run")
    return list(path.iterdir()) if path.is_dir() else []
