"""What an encoded image may ask of the decoder; in a file of its own, for headers are checked without TensorFlow."""

MAX_PIXELS = 2**26
"""Largest width x height that is decoded: 192 MiB as RGB. The header decides, before any pixel is unpacked."""

MAX_SCANS = 500
"""Scans of a progressive JPEG; each passes over all pixels, so that a small file can keep a decoder busy for hours."""

MAX_TIFF_PARTS = 2**18
"""Strips or tiles of a TIFF: each costs up to 10 microseconds and some hundred bytes, however few pixels it holds."""

MAX_GIF_BLOCKS = 2**14
"""Frames and extensions of a GIF: the decoder unpacks every frame, though only the first is used."""

SIDES = (8, 2048)
"""Least and most pixels of a side that a backbone is given."""
