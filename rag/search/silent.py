"""OpenVINO without its telemetry; the one place that imports it.

Importing `openvino` reports the import to an analytics host and writes an identifier into the home
directory, whatever is called afterwards. It does neither where its telemetry package cannot be
imported, which is what the entry below sees to; nothing else of it needs that package.
"""

import sys

sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # import raises ImportError

import openvino  # noqa: E402  only now

__all__ = ["openvino"]
