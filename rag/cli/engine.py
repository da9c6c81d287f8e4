"""`citadel engine`: what fits on the node's GPUs, and the commands that start it."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag.cli.app import JsonOption, app, print_json
from rag.errors import BadRequest

if TYPE_CHECKING:
    from deploy.sizing import Model, Node, Plan

engine = typer.Typer(no_args_is_help=True, help="Size and start the servers that write answers.")
app.add_typer(engine, name="engine")

UNITS = {"GIB": 1024**3, "GB": 10**9, "MIB": 1024**2, "MB": 10**6}
Model_ = Annotated[
    str,
    typer.Option("--model", help="The engine's model: a directory, or the name of a known one."),
]
Guard_ = Annotated[
    str, typer.Option("--guard-model", help="The guard's model likewise; 'none' for no guard.")
]
Gpus = Annotated[int | None, typer.Option(min=1, help="Plan for so many GPUs, on paper.")]
Memory = Annotated[str | None, typer.Option(help="Memory of each, such as 80GiB.")]
KvDtype = Annotated[
    str, typer.Option(help="'fp8' halves the cache; 'auto' does where the checkpoint has scales.")
]
Host = Annotated[str, typer.Option(help="Address that the servers listen on; a private one.")]


@engine.command("plan")
def plan_engine(
    model: Model_ = "llama-3.3-70b",
    guard_model: Guard_ = "llama-guard-3-8b",
    gpus: Gpus = None,
    gpu_memory: Memory = None,
    kv_dtype: KvDtype = "auto",
    host: Host = "127.0.0.1",
    as_json: JsonOption = False,
) -> None:
    """Show what fits: layout, context, how many at once, where the guard goes."""
    from deploy.engine import commands, format_plan, plan_json

    found = _plan(model, guard_model, _node(gpus, gpu_memory), kv_dtype)
    started_by = commands(found, _place(model), _place(guard_model), host)
    if as_json:
        print_json(plan_json(found, started_by))
    else:
        typer.echo("\n".join([format_plan(found), "", *map(str, started_by)]))


@engine.command("command")
def command_of_engine(
    model: Model_ = "llama-3.3-70b",
    guard_model: Guard_ = "llama-guard-3-8b",
    gpus: Gpus = None,
    gpu_memory: Memory = None,
    kv_dtype: KvDtype = "auto",
    host: Host = "127.0.0.1",
) -> None:
    """Print only the commands, one on a line. Put the key into VLLM_API_KEY before."""
    from deploy.engine import commands

    found = _plan(model, guard_model, _node(gpus, gpu_memory), kv_dtype)
    typer.echo("\n".join(map(str, commands(found, _place(model), _place(guard_model), host))))


def _plan(model: str, guard_model: str, node: "Node", kv_dtype: str) -> "Plan":
    from deploy.sizing import plan

    if kv_dtype not in ("auto", "fp8"):
        raise BadRequest(f"there is no KV type {kv_dtype!r}", hint="Choose 'auto' or 'fp8'.")
    guard = None if guard_model == "none" else _model(guard_model)
    return plan(_model(model), guard, node, fp8_kv=kv_dtype == "fp8")


def _model(name: str) -> "Model":
    """A known model by its name, or what lies in a directory. Nothing is ever downloaded."""
    from deploy.sizing import BUILT_IN, read_model

    directory = Path(name).expanduser()
    if directory.is_dir():
        return read_model(directory.absolute())
    if name not in BUILT_IN:
        raise BadRequest(
            f"there is no directory {name}",
            hint=f"Name a model's directory, or one of {', '.join(BUILT_IN)} to plan on paper.",
        )
    return BUILT_IN[name]


def _place(name: str) -> str:
    directory = Path(name).expanduser()
    return str(directory.absolute()) if directory.is_dir() else f"/models/{name}"


def _node(gpus: int | None, gpu_memory: str | None) -> "Node":
    from deploy.engine import this_node
    from deploy.sizing import Node

    if gpus is None and gpu_memory is None:
        return this_node()
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(GiB|GB|MiB|MB)", gpu_memory or "", re.IGNORECASE)
    if gpus is None or found is None:
        raise BadRequest(
            "a node on paper needs both its number of GPUs and their memory",
            hint="For example: --gpus 8 --gpu-memory 80GiB",
        )
    return Node(gpus, int(float(found[1]) * UNITS[found[2].upper()]))
