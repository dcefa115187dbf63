"""Recipes by name, by row of a table and by path; every row of every table is a recipe."""

from pathlib import Path

import pytest

from edged.errors import ConfigError
from trainer.anomaly_recipe import load_recipe, parse_recipe
from trainer.anomaly_systems import build_head, build_network
from trainer.recipe_files import load_table, read_recipe, recipe_names, table_names

ANOMALY_TABLES = [name for name in table_names() if load_table(name).kind in {"anomaly", "thresholds"}]


@pytest.mark.parametrize("name", ANOMALY_TABLES)
def test_every_row_is_a_recipe_of_its_own(name: str) -> None:
    rows = load_table(name).rows
    assert len({row.name for row in rows}) == len(rows)
    for row in rows:
        parse_recipe(row.name, dict(row.recipe))
        assert row.backend["name"]
        assert all(0.0 < mean <= 100.0 for mean, _ in row.thesis.values())


def test_tables_in_the_thesis_order() -> None:
    names = table_names()
    assert names.index("table-5") < names.index("table-10") < names.index("table-losses")


def test_a_row_by_name() -> None:
    recipe = load_recipe("table-25/adaproj", max_epochs=3)
    assert (recipe.loss, recipe.n_centres, recipe.branch_dim, recipe.max_epochs) == ("adaproj", 32, 256, 3)


def test_recipe_names_suggest_what_was_meant() -> None:
    with pytest.raises(ConfigError, match="did you mean 'anomaly-thesis'"):
        read_recipe("anomaly-thesi", "anomaly")
    with pytest.raises(ConfigError, match="no row 'adapro'"):
        read_recipe("table-25/adapro", "anomaly")
    with pytest.raises(ConfigError, match="no table '99'"):
        load_table("99")


@pytest.mark.parametrize("content", ["- a\n- b\n", "a: [1\n", b"\xff\xfe", "a: 2020-13-45\n", "[" * 5000])
def test_files_that_hold_no_fields(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=r"recipe\.yaml"):
        read_recipe(str(path), "anomaly")


@pytest.mark.parametrize("name", recipe_names("anomaly"))
def test_shipped_recipes_make_a_network_and_losses(name: str) -> None:
    recipe = load_recipe(name)
    build_head(recipe, build_network(recipe), n_classes=5)


@pytest.mark.parametrize(
    "fields",
    [
        {"network": "spectrum", "featex": True},
        {"regular": False},
        {"combine": "after-training", "statex": True},
        {"combine": "add", "featex": True},
        {"segment_s": 0.1},
        {"learning_rate": float("inf")},
        {"snr_low_db": float("nan")},
        {"snr_low_db": 20.0},
        {"synthetic_clips": [-1, 1, 1]},
        {"network": "spectrum", "specaugment": True},
    ],
)
def test_recipes_that_cannot_be(fields: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="mine"):
        parse_recipe("mine", fields)


def test_too_few_classes_are_named() -> None:
    recipe = parse_recipe("mine", {"loss": "adacos", "segment_s": 1.0})
    with pytest.raises(ConfigError, match="2 classes are too few for the loss adacos"):
        build_head(recipe, build_network(recipe), n_classes=2)


def test_a_misspelt_field_is_suggested() -> None:
    with pytest.raises(ConfigError, match=r"max_epoch: .*did you mean 'max_epochs'"):
        parse_recipe("mine", {"max_epoch": 3})


def test_branches_trained_apart_may_not_collapse_either() -> None:
    """The check was made for a joint embedding only."""
    fields = {"loss": "compactness", "bias": True, "segment_s": 1.0, "combine": "after-training"}
    recipe = parse_recipe("mine", fields)
    with pytest.raises(ConfigError, match="trivial solution"):
        build_head(recipe, build_network(recipe), n_classes=3)
    fixed = parse_recipe("mine", fields | {"bias": False})
    build_head(fixed, build_network(fixed), n_classes=3)


def test_a_compactness_loss_refuses_a_network_with_bias_terms() -> None:
    recipe = parse_recipe("mine", {"loss": "compactness", "bias": True, "segment_s": 1.0, "network": "spectrum"})
    with pytest.raises(ConfigError, match="trivial solution"):
        build_head(recipe, build_network(recipe), n_classes=1)
