"""`citadel engine`: what fits on the node's GPUs, the commands that start it, and starting it."""

import functools
import inspect
import ipaddress
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli.app import JsonOption, app, print_json, say
from rag.errors import BadRequest

if TYPE_CHECKING:
    from deploy.engine import Command
    from deploy.sizing import Model, Node, Plan

engine = typer.Typer(no_args_is_help=True, help="Size and start the servers that write answers.")
app.add_typer(engine, name="engine")

UNITS = {"GIB": 1024**3, "GB": 10**9, "MIB": 1024**2, "MB": 10**6}
ModelOption = Annotated[
    str,
    typer.Option("--model", help="The engine's model: a directory, or the name of a known one."),
]
GuardOption = Annotated[
    str, typer.Option("--guard-model", help="The guard's model likewise; 'none' for no guard.")
]
Gpus = Annotated[int | None, typer.Option(min=1, help="Plan for so many GPUs, on paper.")]
Memory = Annotated[str | None, typer.Option(help="Memory of each, such as 80GiB.")]
Capability = Annotated[
    float, typer.Option(help="CUDA compute capability on paper: H100 and H200 9.0, L4 8.9, A100 8.")
]
KvDtype = Annotated[
    str,
    typer.Option(help="'fp8' or 'bf16'; 'auto' takes fp8 where the checkpoint has scales for it."),
]
Context = Annotated[
    int | None, typer.Option(min=1024, help="Tokens of the window; the longest when unset.")
]
Host = Annotated[str, typer.Option(help="Address that the servers listen on; a private one.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port of the engine.")]
GuardPort = Annotated[int, typer.Option(min=1, max=65535, help="Port of the guard.")]
KeyFile = Annotated[
    Path | None, typer.Option(help="File with the servers' API key; VLLM_API_KEY when unset.")
]
Template = Annotated[
    str | None, typer.Option(help="Chat template for tool calls; the model's own when unset.")
]
Program = Annotated[Path | None, typer.Option("--vllm", help="vLLM; found on PATH when unset.")]
StartTimeout = Annotated[float, typer.Option(min=1, help="Seconds until all must answer.")]


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for on the command line, the node aside."""

    model: str
    guard_model: str
    kv_dtype: str
    context_tokens: int | None
    host: str
    port: int
    guard_port: int
    key_file: Path | None
    tool_template: str | None


def _asked(
    model: ModelOption = "llama-3.3-70b",
    guard_model: GuardOption = "llama-guard-3-8b",
    kv_dtype: KvDtype = "auto",
    context_tokens: Context = None,
    host: Host = "127.0.0.1",
    port: Port = 8001,
    guard_port: GuardPort = 8101,
    key_file: KeyFile = None,
    tool_template: Template = None,
) -> Asked:
    places = (host, port, guard_port)
    return Asked(model, guard_model, kv_dtype, context_tokens, *places, key_file, tool_template)


def asks(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of `_asked` in the place of its parameter `asked`."""
    common = inspect.signature(_asked).parameters
    own = inspect.signature(command).parameters

    @functools.wraps(command)
    def run(**given: Any) -> None:
        asked = _asked(**{name: given.pop(name) for name in common})
        command(asked=asked, **given)

    options = [*common.values(), *(own[name] for name in own if name != "asked")]
    keyword = [option.replace(kind=option.KEYWORD_ONLY) for option in options]
    run.__signature__ = inspect.Signature(keyword)  # type: ignore[attr-defined]
    run.__annotations__ = {option.name: option.annotation for option in options}
    return run


@engine.command("plan")
@asks
def plan_engine(
    asked: Asked,
    gpus: Gpus = None,
    gpu_memory: Memory = None,
    compute_capability: Capability = 9.0,
    as_json: JsonOption = False,
) -> None:
    """Show what fits: layout, context, how many at once, where the guard goes."""
    from deploy.engine import format_plan, plan_json

    found = _plan(asked, _node(gpus, gpu_memory, compute_capability))
    started_by = _commands(found, asked)
    if as_json:
        print_json(plan_json(found, started_by))
    else:
        typer.echo("\n".join([format_plan(found), "", *map(str, started_by)]))


@engine.command("command")
@asks
def command_of_engine(
    asked: Asked,
    gpus: Gpus = None,
    gpu_memory: Memory = None,
    compute_capability: Capability = 9.0,
) -> None:
    """Print only the commands, one on a line, in the order in which to start them."""
    found = _plan(asked, _node(gpus, gpu_memory, compute_capability))
    typer.echo("\n".join(map(str, _commands(found, asked))))


@engine.command("serve")
@asks
def serve_engine(asked: Asked, vllm: Program = None, start_timeout: StartTimeout = 1800.0) -> None:
    """Start engine and guard on this machine's GPUs, and end them together on Ctrl-C."""
    import asyncio

    from deploy.engine import KEY, format_plan
    from deploy.gpus import this_node
    from deploy.launch import find_vllm, read_key, serve

    _check_directories(asked)
    found = _plan(asked, this_node())
    key = read_key(asked.key_file) if asked.key_file else os.environ.get(KEY)
    if not key:
        say("note: without --key-file or VLLM_API_KEY, whoever reaches the address may use it")
    program = find_vllm(vllm)
    say(format_plan(found))
    asyncio.run(serve(_commands(found, asked), program, key, start_timeout, say))


def _plan(asked: Asked, node: "Node") -> "Plan":
    from deploy.sizing import Wanted, plan

    caches = {"auto": None, "fp8": True, "bf16": False}
    if asked.kv_dtype not in caches:
        raise BadRequest(
            f"there is no KV type {asked.kv_dtype!r}", hint=f"Choose one of {', '.join(caches)}."
        )
    guard = None if asked.guard_model == "none" else _model(asked.guard_model)
    model = _model(asked.model)
    return plan(Wanted(model, guard, caches[asked.kv_dtype], asked.context_tokens), node)


def _commands(plan: "Plan", asked: Asked) -> "list[Command]":
    from deploy.engine import Site, commands

    _check_private(asked.host)
    key_file = str(asked.key_file.absolute()) if asked.key_file else None
    places = _place(asked.model), _place(asked.guard_model)
    site = Site(*places, asked.host, asked.port, asked.guard_port, key_file, asked.tool_template)
    return commands(plan, site)


def _model(name: str) -> "Model":
    """A known model by its name, or what lies in a directory. Nothing is ever downloaded."""
    from deploy.checkpoint import read_model
    from deploy.sizing import BUILT_IN

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


def _check_directories(asked: Asked) -> None:
    """What `serve` starts must be there, and whole."""
    from deploy.checkpoint import missing_files

    for name in {asked.model, asked.guard_model} - {"none"}:
        directory = Path(name).expanduser()
        if not directory.is_dir():
            raise BadRequest(
                f"there is no directory {name}",
                hint="`serve` needs the directories of both models; it downloads nothing.",
            )
        if lacking := missing_files(directory):
            raise BadRequest(
                f"{directory} lacks {', '.join(lacking[:3])}{' …' * (len(lacking) > 3)}",
                hint="Copy the model's files once more.",
            )


def _check_private(host: str) -> None:
    """vLLM answers much without a key, so it must not be offered to every network.

    Raises:
        BadRequest: `host` is every address, a public one, or a name.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if address is None or address.is_unspecified or not address.is_private:
        raise BadRequest(
            f"{host} is no private address of this machine",
            hint="vLLM answers /tokenize, /metrics and more without a key: choose 127.0.0.1 or the "
            "address of a network that only Citadel is in.",
        )


def _node(gpus: int | None, gpu_memory: str | None, capability: float) -> "Node":
    from deploy.gpus import this_node
    from deploy.sizing import Node

    if gpus is None and gpu_memory is None:
        return this_node()
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(GiB|GB|MiB|MB)", gpu_memory or "", re.IGNORECASE)
    if gpus is None or found is None:
        raise BadRequest(
            "a node on paper needs both its number of GPUs and their memory",
            hint="For example: --gpus 8 --gpu-memory 80GiB",
        )
    return Node(gpus, int(float(found[1]) * UNITS[found[2].upper()]), capability)
