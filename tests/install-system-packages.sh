#!/usr/bin/env bash
# Installs the Debian packages that the tests use and that are not there yet. Asks apt only then.
set -euo pipefail

packages=(
    tesseract-ocr tesseract-ocr-eng tesseract-ocr-deu tesseract-ocr-spa # scanned pages
    libreoffice-writer-nogui libreoffice-calc-nogui libreoffice-impress-nogui # old Office formats
    chromium fonts-dejavu-core # the page's tests
    nginx-light # the proxy in front
    postgresql # the store's suite runs on it too
    slapd # the company's directory; tests start one of their own
    systemd # its own check of the units in deploy/systemd
)

if ! command -v dpkg-query apt-get >/dev/null; then
    echo "No apt here: the tests need the counterparts of ${packages[*]}" >&2
    exit 0
fi

missing=()
for package in "${packages[@]}"; do
    state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "The tests need packages that only root can install; as root, run:" >&2
        echo "  apt-get update && apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi

echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
if ! { "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; }; then
    echo "apt could not install ${missing[*]}: see its message above" >&2
    exit 1
fi
