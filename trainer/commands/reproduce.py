"""`edged-train reproduce`: the rows of one of the thesis's tables on one's own data."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer


def reproduce(
    table: Annotated[str, typer.Argument(help="Number or name of a table (`25`, `table-25`), or `list`.")],
    *,
    data: Annotated[
        Path | None, typer.Option("--data", help="Recordings: a DCASE or MIMII tree, a folder, or a CSV manifest.")
    ] = None,
    run: Annotated[
        Path | None, typer.Option("--run", help="Where trained systems are kept and found again [TABLE.run].")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=100, help="Independent trials per row.")] = 3,
    rows: Annotated[list[str] | None, typer.Option("--row", help="Only this row; repeatable.")] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Recipe field for every row, `name=value`: what the data or the time call for."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Every figure of every seed, for programs.")] = False,
) -> None:
    """Run a table of the thesis on whatever data is given; ours and the thesis's figures stand side by side.

    Examples:
        edged-train reproduce list

        edged-train reproduce 25 --data dcase2023/ --seeds 10

        edged-train reproduce 26 --data plant/ --set network=compact --set max_epochs=20 --row baseline --row combined
    """
    from trainer.recipe_files import load_table, table_names

    if table == "list":
        for name in table_names():
            typer.echo(f"{name}: {load_table(name).title}")
        return
    from trainer.reproduce import as_json as row_as_json
    from trainer.reproduction import run_table, table_lines

    chosen = load_table(table)
    results = run_table(
        chosen,
        data,
        run or Path(f"{chosen.name}.run"),
        seeds=range(seeds),
        changes=changes or [],
        rows=rows or [],
        progress=sys.stderr.isatty(),
    )
    if as_json:
        typer.echo(json.dumps([row_as_json(result) for result in results]))
    else:
        typer.echo(table_lines(chosen, results, changes or []))
    if results and all(result.failure for result in results):
        raise typer.Exit(1)
