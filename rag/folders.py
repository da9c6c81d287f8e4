"""Which folders of this machine an ingest by the API may read from.

Whoever manages a collection can have any of them ingested into it, and then read what is there.
"""

import os
from pathlib import Path

from rag.errors import BadRequest, Forbidden
from rag.settings import Settings


def allowed(path: str, settings: Settings) -> Path:
    """The file or folder at `path`, where it lies below one that the settings name.

    Both as it is written and where its links lead, so that neither `..` nor a link gets out.

    Raises:
        Forbidden: it does not, or it is the appliance's own data.
        BadRequest: it is not there.
    """
    written = Path(os.path.normpath(path))
    real = Path(os.path.realpath(written))
    for root in settings.ingest_roots:
        if written.is_relative_to(root) and real.is_relative_to(os.path.realpath(root)):
            break
    else:
        raise Forbidden(
            f"{path} lies below no folder that may be ingested from here",
            hint="CITADEL_INGEST_ROOTS names those; set it where the server runs, or use `citadel"
            " ingest` there.",
        )
    if real.is_relative_to(os.path.realpath(settings.data_dir)):
        raise Forbidden(f"{path} is the appliance's own data", hint="Name another folder.")
    if not real.exists():
        raise BadRequest(f"there is no file or folder {path}", hint="Check the path.")
    return written
