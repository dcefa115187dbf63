"""A row of table 31 for `edged-train reproduce`: one system on one draw of shots and sentences."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError

from edged.errors import ConfigError
from trainer.keyword_systems.draw import make_draw
from trainer.keyword_systems.recipe import SystemRecipe
from trainer.keyword_systems.system import Draw, run_system

FIGURES = ("f1", "precision", "recall")


def system_figures(
    data: Path, fields: Mapping[str, object], seed: int, run_directory: Path, progress: bool
) -> dict[str, float]:
    """`PART KIND FIGURE` -> value within [0, 1]: parts validation and test, kinds of limits global and individual.

    Args:
        data: see `trainer.keyword_systems.draw.make_draw`.
        fields: of `SystemRecipe`.
        run_directory: checkpoints go there.

    Raises:
        ConfigError: a field that does not exist or fit.
        AudioError: data that cannot be used.
    """
    try:
        recipe = SystemRecipe.model_validate(dict(fields))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"table-31: {problems}") from error
    result = run_system(recipe, _draw(data, seed), seed, run_directory, progress=progress)
    return {
        f"{part} {kind} {figure}": float(getattr(counts, figure))
        for (kind, part), counts in result.figures.items()
        for figure in FIGURES
    }


@lru_cache(maxsize=1)
def _draw(data: Path, seed: int) -> Draw:
    return make_draw(data, seed)
