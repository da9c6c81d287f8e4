"""compose.yaml and the systemd units: what holds of every service, and the commands they run."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.engine import Command, Site, commands
from deploy.sizing import BUILT_IN, GIB, Node, Wanted, plan

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
MODELS = ("engine", "guard")
SYSTEMD = ROOT / "deploy" / "systemd"
UNITS = {role: SYSTEMD / f"citadel-{role}.service" for role in MODELS}
APPLIANCE = SYSTEMD / "citadel.service"
ENTRYPOINT = ROOT / "deploy" / "entrypoint.sh"
VLLM = f"""#!{sys.executable}
import os, sys
print(os.environ["VLLM_API_KEY"], *sys.argv[1:], sep="\\n")
"""


def planned(role: str, host: str, models: str) -> Command:
    """What `citadel engine command` says for eight H100."""
    wanted = Wanted(BUILT_IN["llama-3.3-70b"], BUILT_IN["llama-guard-3-8b"])
    site = Site(f"{models}/main", f"{models}/guard", host=host)
    return next(c for c in commands(plan(wanted, Node(8, 80 * GIB)), site) if c.role == role)


def words(text: str) -> list[str]:
    """A command's words from `serve` on."""
    found = shlex.split(text)
    return found[found.index("serve") :]


def started_by(unit: Path) -> list[str]:
    """The unit's command, in words."""
    lines = unit.read_text().replace("\\\n", " ").splitlines()
    [command] = [line.removeprefix("ExecStart=") for line in lines if line.startswith("ExecStart=")]
    return shlex.split(command)


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_watched_limited_and_held_down(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] == "CMD"
    limits = service["deploy"]["resources"]["limits"]
    assert limits.keys() >= {"cpus", "memory", "pids"}
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"] == {"driver": "local"}


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_runs_as_an_ordinary_user(name: str) -> None:
    user = (
        SERVICES[name].get("user")
        or re.findall(r"^USER (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[-1]
    )
    assert int(user.split(":")[0]) > 0


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_pinned(name: str) -> None:
    _, _, version = SERVICES[name]["image"].partition(":")
    assert re.search(r"\d", version)


def test_only_the_proxy_can_be_reached_and_only_it_can_reach_out() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]
    networks = COMPOSE["networks"]
    for name, service in SERVICES.items():
        if name != "proxy":
            assert all(networks[network]["internal"] for network in service["networks"])
    for name in MODELS:
        assert SERVICES[name]["networks"] == ["models"]
    others = [n for n, service in SERVICES.items() if "models" in service["networks"]]
    assert others == ["engine", "guard", "api"]


def test_secrets_come_from_files_and_stand_in_no_environment() -> None:
    assert all(secret.keys() == {"file"} for secret in COMPOSE["secrets"].values())
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search("KEY|TOKEN|PASSWORD|DATABASE_URL", name):
                assert name.endswith("_FILE")
                assert value.removeprefix("/run/secrets/") in service["secrets"]


@pytest.mark.parametrize("role", MODELS)
def test_the_models_are_served_offline_as_the_plan_says(role: str) -> None:
    service = SERVICES[role]
    command = planned(role, "0.0.0.0", "/models")
    assert words(service["command"][0]) == list(command.arguments[1:])
    gpus = command.environment.pop("CUDA_VISIBLE_DEVICES")
    assert service["deploy"]["resources"]["reservations"]["devices"][0]["device_ids"] == (
        gpus.split(",")
    )
    assert command.environment.items() <= service["environment"].items()


@pytest.mark.parametrize("role", MODELS)
def test_the_units_run_the_same_commands_on_loopback(role: str) -> None:
    unit = UNITS[role].read_text()
    command = planned(role, "127.0.0.1", "/srv/models")
    assert started_by(UNITS[role])[4:] == list(command.arguments[1:])
    environment = " ".join(re.findall(r"^Environment=(.*)$", unit, re.MULTILINE)).split()
    assert {f"{name}={value}" for name, value in command.environment.items()} <= set(environment)


@pytest.fixture
def vllm(tmp_path: Path) -> Path:
    """A stand-in that prints its key and its arguments."""
    program = tmp_path / "vllm"
    program.write_text(VLLM)
    program.chmod(0o755)
    return program


def run_in_compose(role: str, vllm: Path) -> "subprocess.CompletedProcess[str]":
    """The service's own command, with its secrets in the folder of the stand-in."""
    service = SERVICES[role]
    text = service["command"][0].replace("$$", "$").replace("/run/secrets", str(vllm.parent))
    path = f"{vllm.parent}{os.pathsep}/usr/bin{os.pathsep}/bin"
    command = [*service["entrypoint"], text]
    return subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, timeout=30)


def run_in_unit(role: str, vllm: Path) -> "subprocess.CompletedProcess[str]":
    """The unit's own command, with its credentials in the folder of the stand-in."""
    command = [str(vllm) if w == "/opt/vllm/bin/vllm" else w for w in started_by(UNITS[role])]
    place = {"CREDENTIALS_DIRECTORY": str(vllm.parent)}
    return subprocess.run(command, env=place, capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize(
    ("run", "file", "host", "models"),
    [
        (run_in_compose, "{}_key", "0.0.0.0", "/models"),
        (run_in_unit, "key", "127.0.0.1", "/srv/models"),
    ],
)
@pytest.mark.parametrize("role", MODELS)
def test_a_server_gets_its_key_from_a_file_and_does_not_start_without(
    role: str, run: Any, file: str, host: str, models: str, vllm: Path
) -> None:
    assert run(role, vllm).returncode != 0
    key = vllm.parent / file.format(role)
    key.write_text("")
    assert run(role, vllm).returncode != 0, "vLLM takes an empty key for none"
    key.write_text("a key\n")
    started = run(role, vllm).stdout.splitlines()
    assert started == ["a key", *planned(role, host, models).arguments[1:]]


@pytest.mark.parametrize("unit", [*UNITS.values(), APPLIANCE], ids=lambda unit: unit.stem)
def test_the_units_hold_their_programs_down(unit: Path) -> None:
    lines = set(unit.read_text().splitlines())
    assert lines & {"DynamicUser=yes", "User=citadel"}
    assert {"NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes"} <= lines
    assert {"PrivateTmp=yes", "CapabilityBoundingSet=", "Restart=on-failure"} <= lines
    assert {"IPAddressDeny=any", "IPAddressAllow=localhost"} <= lines
    assert any(line.startswith("LoadCredential=") for line in lines)


def test_systemd_understands_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is missing: apt-get install systemd")
    for unit in (*UNITS.values(), APPLIANCE):
        here = re.sub(r"/opt/citadel/\S*entrypoint\.sh", str(ENTRYPOINT), unit.read_text())
        (tmp_path / unit.name).write_text(here)
    command = ["systemd-analyze", "verify", *sorted(tmp_path.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def run_entrypoint(*command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [ENTRYPOINT, *command],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_settings_are_read_from_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a $(touch x) 'quoted' \"key\"\n")
    done = run_entrypoint("env", CITADEL_TOKEN_FILE=str(secret), CITADEL_PORT="1")
    lines = done.stdout.splitlines()
    assert "CITADEL_TOKEN=a $(touch x) 'quoted' \"key\"" in lines
    assert "CITADEL_PORT=1" in lines
    assert not [line for line in lines if "_FILE=" in line]


def test_a_file_that_cannot_be_read_is_named() -> None:
    done = run_entrypoint("env", CITADEL_TOKEN_FILE="/nonexistent")
    assert done.returncode == 2
    assert "CITADEL_TOKEN_FILE names /nonexistent" in done.stderr
