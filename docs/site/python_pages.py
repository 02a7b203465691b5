"""The reference of names that programs use; mkdocstrings fills it from docstrings and signatures."""

FOLDER = "reference"
PAGES = {
    "fitting": (
        "From data to a model",
        ["maas.fitting.fit", "maas.config.compose", "maas.inspecting.inspect_data", "maas.inspecting.propose"],
    ),
    "stages": (
        "Stages",
        [f"maas.lifecycle.{name}" for name in ("run", "train", "compress", "export", "verify", "register", "Line")],
    ),
    "models": (
        "Models that predict",
        [
            "maas.opening.load",
            "maas.runtime.bundle.Bundle",
            "maas.explaining.explain",
            "maas.runtime.kinds.register_kind",
        ],
    ),
    "client": ("The client", ["maas.client.Client", "maas.client.AsyncClient"]),
    "errors": ("Errors", ["maas.errors"]),
}


def python_pages() -> dict[str, str]:
    """Returns the pages by their paths; each names objects that mkdocstrings describes."""
    return {
        f"{FOLDER}/{name}.md": f"# {title}\n\n" + "\n".join(f"::: {one}\n" for one in objects)
        for name, (title, objects) in PAGES.items()
    }
