"""Signals: one number or one category each, read from an example or from an answer, and how they lay in reference data.

Imports no TensorFlow.
"""
