"""What the compiler assumes where nothing is said; imports nothing, so that the command line can show it."""

DEFAULT_ROOT = "/mnt/graft/artifacts"
"""A path that every pod mounts: Graft's components read and write artifacts as plain files."""
