"""`citadel eval`: what search and answers are worth, on a set or on a site's own questions."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag.cli.app import Frame, JsonOption, a_path, app, print_json, say
from rag.cli.ask import AsUser, Collections, DepthName, access_to
from rag.errors import BadRequest

if TYPE_CHECKING:
    from rag.eval.calibrate import Curve
    from rag.eval.report import Comparison, Report

OF_QUOTES = (
    "an engine writes the answers here and says itself where there is none; the threshold holds"
    " for quotes, which are given when it is down"
)

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
    from rag.eval.retrieval import evaluate
    from rag.search.chosen import load_of_site

    frame: Frame = ctx.obj
    settings = frame.settings()
    wanted = _Wanted(against, save, html, as_json)  # what is wrong with it is told before the work
    report = evaluate(folder, settings, load_of_site(settings), queries=queries, qrels=qrels)
    wanted.give(report)


@commands.command()
def answers(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="Questions, a JSON object a line.", metavar="FILE", parser=a_path)
    ],
    collections: Collections = None,
    user: AsUser = None,
    depth: Annotated[
        DepthName | None, typer.Option(help="How much the engine reads, as for `citadel ask`.")
    ] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Fit the threshold below which nothing is answered.")
    ] = False,
    against: Against = None,
    save: Save = None,
    html: Html = None,
    as_json: JsonOption = False,
) -> None:
    """Put a site's own questions to this appliance, and judge its answers (docs/evaluation.md).

    Each is asked as anybody asks it, and stands in the audit records.
    """
    from rag.answer.options import Options
    from rag.appliance import Appliance
    from rag.eval.answers import evaluate_answers, is_answerable
    from rag.eval.calibrate import calibrate as fit
    from rag.eval.calibrate import check_numbers
    from rag.eval.sets import load_questions

    frame: Frame = ctx.obj
    wanted = _Wanted(against, save, html, as_json)
    questions = load_questions(file)
    if calibrate:
        check_numbers([is_answerable(question.gold) for question in questions])
    with Appliance(frame.settings(), say) as appliance:
        access = access_to(appliance.store, collections, user)
        options = Options(depth=depth.value if depth else None)
        done = asyncio.run(evaluate_answers(file.name, questions, appliance, access, options))
        if calibrate and appliance.answers == "engine":
            say(f"note: {OF_QUOTES}")
        threshold = appliance.settings.answer_threshold
    wanted.give(done.report, fit(done.scored, threshold) if calibrate else None)


class _Wanted:
    """What is to become of a report: compared, kept, drawn, printed."""

    def __init__(
        self, against: Path | None, save: Path | None, html: Path | None, as_json: bool
    ) -> None:
        from rag.eval.report import check_writable, load

        self._before = load(against) if against else None
        self._against, self._save, self._html, self._as_json = against, save, html, as_json
        for file in filter(None, (save, html)):
            check_writable(file)

    def give(self, report: "Report", curve: "Curve | None" = None) -> None:
        """Do all that is wanted."""
        from rag.eval.report import compare, save

        for note in report.notes:
            say(f"note: {note}")
        if self._save:
            save(report, self._save)
        comparison, unlike = None, None
        if self._before is not None:
            try:
                comparison = compare(report, self._before, str(self._against))
            except BadRequest as error:  # the figures are told all the same
                unlike = error
        if self._html:
            from rag.eval.html import write_html

            write_html(report, comparison, curve, self._html)
        self._print(report, comparison, curve)
        if unlike is not None:
            raise unlike

    def _print(
        self, report: "Report", comparison: "Comparison | None", curve: "Curve | None"
    ) -> None:
        from rag.cli.show_eval import format_curve, format_evaluation
        from rag.eval.report import report_json

        if self._as_json:
            fitted = {"calibration": asdict(curve)} if curve else {}
            print_json(report_json(report, comparison) | fitted)
            return
        typer.echo(format_evaluation(report, comparison))
        if curve is not None:
            typer.echo("\n" + format_curve(curve))
