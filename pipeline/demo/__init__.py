"""`graft demo`: transfer that helps and transfer that hurts, on handwritten digits."""

from graft.pipeline.demo.story import demo

__all__ = ["demo"]
