"""Properties are tried often enough to matter and seldom enough to stay quick; a busy machine is no failure."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("netproof", deadline=None, max_examples=60)
settings.load_profile("netproof")
