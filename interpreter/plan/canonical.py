"""The canonical form and the key (temporary door; see interpreter.spec.canonical)."""

from interpreter.spec.canonical import KEY_LENGTH, canonical, digest, key_of

__all__ = ["KEY_LENGTH", "canonical", "digest", "key_of"]
