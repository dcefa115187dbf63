"""`edged-train align`: times for words whose order in a sentence is known."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer


def align(
    *,
    keywords: Annotated[Path, typer.Option("--keywords", help="A folder of clips per word, some of each.")],
    sentences: Annotated[Path, typer.Option("--sentences", help="The folder that the files of --order are in.")],
    order: Annotated[
        Path, typer.Option("--order", help="Which words are in which file: .json, or .csv with file and keyword(s).")
    ],
    out: Annotated[Path, typer.Option("--out", help="Table to write: .csv or .json.")],
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="Compare by this keyword bundle's embedding [HFCC].")
    ] = None,
    template: Annotated[
        Literal["best", "mean"], typer.Option("--template", help="The best of a word's clips, or their Frechet mean.")
    ] = "best",
) -> None:
    """Turn weak labels into strong ones: find when known words were spoken in sentences.

    Words may have anything between them, but every word of a file's order is found, whether it was said or not: see
    the column `distance` of the result for the doubtful ones.

    Example: `edged-train align --keywords words/ --sentences talk/ --order order.csv --out labels.csv`
    """
    from edged.errors import UsageError
    from trainer.data.keyword_order import read_orders
    from trainer.data.keywords import read_word_folders
    from trainer.files import refuse_closed
    from trainer.weak_labels import HFCC, align_sentences, bundle_features, templates_of, write_labels

    if out.suffix.lower() not in {".csv", ".json"}:
        raise UsageError(f"{out}: neither .csv nor .json", fix="name the file after what it is to hold")
    for folder in (keywords, sentences):
        if not folder.is_dir():
            raise UsageError(f"{folder}: no such folder", fix="check the path")
    refuse_closed(out.parent)
    orders = read_orders(order)
    features = HFCC if bundle is None else bundle_features(bundle)
    templates = templates_of(read_word_folders(keywords), features, template)
    labels = align_sentences(orders, sentences, templates, features, progress=sys.stderr.isatty())
    write_labels(out, labels)
    typer.echo(f"{out}: {len(labels)} words in {len(orders)} files", err=True)
