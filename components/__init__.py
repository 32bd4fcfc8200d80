"""Graft's own TFX components, a folder each."""
