"""`citadel eval`: what search and answers are worth, on a set or on a site's own questions."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag.cli.app import Frame, JsonOption, a_path, app, print_json, say

if TYPE_CHECKING:
    from rag.eval.report import Comparison, Report

commands = typer.Typer(
    no_args_is_help=True, help="Measure search and answers by questions whose answers are known."
)
app.add_typer(commands, name="eval")

Against = Annotated[
    Path | None,
    typer.Option(help="Compare with a report that --save wrote.", metavar="FILE", parser=a_path),
]
Save = Annotated[
    Path | None,
    typer.Option(help="Keep the report, for a later --against.", metavar="FILE", parser=a_path),
]
Html = Annotated[
    Path | None, typer.Option(help="Write a page with plots.", metavar="FILE", parser=a_path)
]


@commands.command()
def retrieval(
    ctx: typer.Context,
    folder: Annotated[
        Path, typer.Argument(help="The folder of a set.", metavar="DIR", parser=a_path)
    ],
    queries: Annotated[
        Path | None,
        typer.Option(help="Its questions; queries.jsonl if unset.", metavar="FILE", parser=a_path),
    ] = None,
    qrels: Annotated[
        Path | None,
        typer.Option(help="Its judgements; qrels.tsv if unset.", metavar="FILE", parser=a_path),
    ] = None,
    against: Against = None,
    save: Save = None,
    html: Html = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the search on a set of documents and questions (docs/evaluation.md).

    The set goes through this site's ingest, model and settings into a data directory of its own,
    which is gone afterwards; the site's documents take no part.
    """
    from rag.eval.report import load
    from rag.eval.retrieval import evaluate
    from rag.search.embed import load_embedder

    frame: Frame = ctx.obj
    settings = frame.settings()
    before = load(against) if against else None  # what is wrong with it is told before the work
    report = evaluate(folder, settings, load_embedder(settings), queries=queries, qrels=qrels)
    _give(report, before, against, save=save, html=html, as_json=as_json)


def _give(
    report: "Report",
    before: "Report | None",
    against: Path | None,
    *,
    save: Path | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """Save, draw and print a report."""
    from rag.cli.show_eval import format_evaluation
    from rag.eval.report import compare, report_json
    from rag.eval.report import save as save_report

    for note in report.notes:
        say(f"note: {note}")
    if save:
        save_report(report, save)
    comparison: Comparison | None = None
    if before is not None:
        comparison = compare(report, before, str(against))
    if html:
        from rag.eval.html import write_html

        write_html(report, comparison, html)
    if as_json:
        print_json(report_json(report, comparison))
    else:
        typer.echo(format_evaluation(report, comparison))
