"""vLLM's own parser reads the commands that the appliance prints, and those of `deploy/`."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.engine import Site, commands
from deploy.sizing import BUILT_IN, GIB, Node, Wanted, plan
from tests.vllm.serve import VENV

ROOT = Path(__file__).parents[2]
PLANNED = [(8, "llama-3.3-70b", False), (8, "llama-3.3-70b-fp8", True), (4, "llama-3.3-70b", False)]
PARSE = """
import json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.utils.argparse_utils import FlexibleArgumentParser

parser = make_arg_parser(FlexibleArgumentParser(exit_on_error=False))
for words in json.load(sys.stdin):
    try:
        parsed = parser.parse_args(words)
        validate_parsed_serve_args(parsed)
    except (Exception, SystemExit) as error:
        print("refused:", repr(error))
    else:
        print(parsed.model_tag, *parsed.served_model_name, parsed.port, parsed.max_model_len)
"""


def parsed(*lines: str) -> list[str]:
    """What vLLM takes each command for: directory, name, port and window."""
    words = [_options(line) for line in lines]
    done = subprocess.run(
        [VENV / "bin" / "python", "-c", PARSE],
        input=json.dumps(words),
        env={"VLLM_TARGET_DEVICE": "cpu", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith(("/", "refused"))]


def _options(line: str) -> list[str]:
    words = line.replace("\\\n", " ").split()
    return words[words.index("serve") + 1 :]


@pytest.fixture
def published() -> list[str]:
    """The commands of compose.yaml and of the units."""
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    units = [
        (ROOT / "deploy" / "systemd" / f"citadel-{role}.service").read_text().partition("\n\n")
        for role in ("engine", "guard")
    ]
    started = [_started(after) for _, _, after in units]
    return [*(services[role]["command"][0] for role in ("engine", "guard")), *started]


def _started(unit: str) -> str:
    after = unit.replace("\\\n", " ").partition("\nExecStart=")[2]
    return after.partition("\n")[0]


def test_it_takes_every_command_of_compose_and_of_the_units(published: list[str]) -> None:
    main, guard = "main 8001 131072", "guard 8101 16384"
    assert parsed(*published) == [
        f"/models/main {main}",
        f"/models/guard {guard}",
        f"/srv/models/main {main}",
        f"/srv/models/guard {guard}",
    ]


def test_it_takes_what_is_printed_for_a_plan(tmp_path: Path) -> None:
    template = tmp_path / "tools.jinja"
    template.touch()
    site = Site("/models/main", "/models/guard", tool_template=str(template))
    printed = []
    for n_gpus, model, fp8_cache in PLANNED:
        wanted = Wanted(BUILT_IN[model], BUILT_IN["llama-guard-3-8b"], fp8_cache=fp8_cache)
        printed += commands(plan(wanted, Node(n_gpus, 80 * GIB)), site)
    said = parsed(*(" ".join(command.arguments) for command in printed))
    both = ["/models/guard guard 8101 16384", "/models/main main 8001 131072"]
    assert sorted(said) == sorted(both * len(PLANNED))


def test_it_would_say_so_if_an_option_were_unknown(published: list[str]) -> None:
    [said] = parsed(f"{published[0]} --no-such-option 1")
    assert said.startswith("refused")
