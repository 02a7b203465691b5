"""What a bundle imports when it is first wanted, in one table."""

from typing import TYPE_CHECKING

from maas.later import imported_later

if TYPE_CHECKING:
    from pkgutil import iter_modules

    from maas.records.evidence import Evidence
    from maas.runtime.bundle_card import bundle_card
    from maas.runtime.generation.settings import generation_settings
    from maas.runtime.translation.timed_transcriber import opened_translator
    from maas.runtime.translation.translator import Translator

_PLACES = {
    "Evidence": "maas.records.evidence",
    "Translator": "maas.runtime.translation.translator",
    "bundle_card": "maas.runtime.bundle_card",
    "generation_settings": "maas.runtime.generation.settings",
    "iter_modules": "pkgutil",
    "opened_translator": "maas.runtime.translation.timed_transcriber",
}
__all__ = ["Evidence", "Translator", "bundle_card", "generation_settings", "iter_modules", "opened_translator"]

__getattr__ = imported_later(__name__, _PLACES)
