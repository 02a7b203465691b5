"""Builds the documents' site: `python docs/site/build.py [FOLDER]`; `make docs` leaves it in build/site.

The pages of docs/ and those that are made of the source are put together beside it, as they lie there; MkDocs
makes HTML of them. Any warning, such as a link to what is not there, is an error.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from error_pages import error_pages
from messages import described_errors
from part_pages import part_pages
from python_pages import python_pages

HERE = Path(__file__).parent
DOCS, ROOT = HERE.parent, HERE.parents[1]
NOT_SHOWN = shutil.ignore_patterns("site", "*.py", "__pycache__")


def made_pages() -> dict[str, str]:
    """Returns the pages that are made of the source, by their paths."""
    return {**error_pages(described_errors()), **part_pages(), **python_pages()}


def put_together(folder: Path) -> None:
    """Writes all that the site is made of; what the folder held before is removed."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(DOCS, folder, ignore=NOT_SHOWN)
    shutil.copy(HERE / "site.css", folder)
    for path, text in made_pages().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")


def main() -> None:
    """Builds; the status is that of MkDocs."""
    site = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/site").resolve()
    pages = site.with_name(f"{site.name}_pages")
    put_together(pages)
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(site)]
    command += ["--config-file", str(HERE / "mkdocs.yml")]
    environment = {**os.environ, "SITE_PAGES": str(pages), "NO_MKDOCS_2_WARNING": "1"}
    status = subprocess.run(command, check=False, env=environment).returncode
    if status == 0:
        print(site / "index.html")
    sys.exit(status)


if __name__ == "__main__":
    main()
