"""`graft demo`: transfer that helps and transfer that hurts, on scikit-learn's digits."""

from graft.pipeline.demo.story import demo

__all__ = ["demo"]
