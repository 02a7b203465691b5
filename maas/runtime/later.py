"""What a bundle imports when it is first wanted, in one table."""

from typing import TYPE_CHECKING

from maas.later import imported_later

if TYPE_CHECKING:
    from pkgutil import iter_modules

    from maas.records.evidence import Evidence
    from maas.runtime.bundle_card import bundle_card
    from maas.runtime.generation.settings import generation_settings
    from maas.runtime.translation.translator import Transcriber, Translator

_PLACES = {
    "Evidence": "maas.records.evidence",
    "Transcriber": "maas.runtime.translation.translator",
    "Translator": "maas.runtime.translation.translator",
    "bundle_card": "maas.runtime.bundle_card",
    "generation_settings": "maas.runtime.generation.settings",
    "iter_modules": "pkgutil",
}
__all__ = ["Evidence", "Transcriber", "Translator", "bundle_card", "generation_settings", "iter_modules"]

__getattr__ = imported_later(__name__, _PLACES)
