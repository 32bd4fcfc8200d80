"""The one rule from an encoded image to pixels, in graph ops, shared by training, features and serving.

| input | rule |
|---|---|
| JPEG | accurate DCT; grey and CMYK become RGB as in TensorFlow's decoder; EXIF orientation applied |
| PNG | 16 bits keep their high byte, palette and grey become RGB, alpha and tRNS are composited over white |
| GIF | first frame; a transparent pixel becomes black, as the decoder of TensorFlow has it |
| BMP | 24 and 32 bits (the fourth byte is ignored), 8 bits through the palette; uncompressed only |

WebP and TIFF are PNG by the time they come here: `inputs.image.convert`.

Orientation follows Exif 2.3, section 4.6.4 (tag 0x0112 of IFD0), in JPEG only; a malformed Exif block means 1, upright.
"""

import tensorflow as tf

from graft.models.inputs.image.limits import MAX_GIF_BLOCKS, MAX_PIXELS, MAX_SCANS

FORMATS = ("JPEG", "PNG", "GIF", "BMP")

_HEADER_BYTES = 54  # the longest fixed header read here, BITMAPFILEHEADER + BITMAPINFOHEADER
_MAX_JPEG_STEPS = 256  # segments and padding bytes looked at for Exif; cameras write it first or second
_GIF_DOUBLINGS = 6  # a step then passes 64 sub-blocks of up to 255 bytes
_EXIF_MARK = b"Exif\x00\x00"
_ORIENTATION_TAG = 0x0112
_TIFF_SHORT, _TIFF_LONG = 3, 4


def decode_image(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes one image by the rule of this module.

    Args:
        encoded: scalar string, the bytes of a JPEG, PNG, GIF or BMP file.

    Returns:
        uint8 `[height, width, 3]`, RGB, upright.

    Raises:
        tf.errors.InvalidArgumentError: when run, if the bytes are none of `FORMATS`, are corrupt or cut, or go beyond
            a limit of `inputs.image.limits`.
    """
    head = _bytes_at(encoded, 0, _HEADER_BYTES)
    begins = [_starts_with(head, mark) for mark in (b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM")]
    branches = [
        lambda: _decode_jpeg(encoded),
        lambda: _decode_png(encoded, head),
        lambda: _decode_gif(encoded, head),
        lambda: _decode_bmp(encoded, head),
        lambda: _refuse(head),
    ]
    # One switch: Grappler copies each of the nested branches of a `tf.case` into all those around it.
    image = tf.switch_case(tf.argmax(tf.cast(tf.stack([*begins, True]), tf.int32), output_type=tf.int32), branches)
    return tf.ensure_shape(image, [None, None, 3])


def preprocess(encoded: tf.Tensor, image_size: tuple[int, int], value_range: tuple[float, float]) -> tf.Tensor:
    """Turns encoded images into the pixels a backbone takes.

    Decode, resize (bilinear, antialiased, aspect ratio not kept), scale 0..255 to `value_range`.

    Args:
        encoded: string `[n]`, encoded images; n may be 0.
        image_size: (height, width) in pixels.
        value_range: the values that stand for black and for white.

    Returns:
        float32 `[n, height, width, 3]`.

    Raises:
        tf.errors.InvalidArgumentError: when run, if any of the images cannot be decoded.
    """
    low, high = value_range

    def one(contents: tf.Tensor) -> tf.Tensor:
        pixels = tf.image.resize(decode_image(contents), image_size, method="bilinear", antialias=True)
        return pixels * ((high - low) / 255.0) + low

    spec = tf.TensorSpec([*image_size, 3], tf.float32)
    # One image at a time: callers run whole batches in parallel, one to a core.
    return tf.map_fn(one, tf.convert_to_tensor(encoded, tf.string), fn_output_signature=spec, parallel_iterations=1)


def exif_orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Reads the orientation of a JPEG from its first Exif block.

    Args:
        encoded: scalar string, the bytes of a JPEG file, whole or not.

    Returns:
        int32 scalar from 1 to 8; 1 where there is no readable orientation.
    """
    length = tf.strings.length(encoded)

    def walk(position, _, steps):
        head = _bytes_at(encoded, position, 10)
        marker, size = head[1], head[2] * 256 + head[3]
        is_marker = head[0] == 0xFF
        is_exif = is_marker & (marker == 0xE1) & _starts_with(head[4:], _EXIF_MARK)
        is_padding = ~is_marker | (marker == 0xFF) | (marker == 0x00)
        # TEM, RSTn and SOI stand alone, without a length; a length below 2 cannot be true and is stepped over.
        alone = (marker == 0x01) | ((marker >= 0xD0) & (marker <= 0xD8)) | (size < 2)
        step = tf.where(is_padding, 1, tf.where(alone, 2, 2 + size))
        # After SOS (0xDA) come pixels, after EOI (0xD9) nothing.
        ended = is_marker & ((marker == 0xDA) | (marker == 0xD9))
        found = tf.where(is_exif, position, -1)
        return tf.where(ended, length, tf.where(is_exif, position, position + step)), found, steps + 1

    _, exif, _ = tf.while_loop(
        lambda position, found, steps: (position + 4 <= length) & (found < 0) & (steps < _MAX_JPEG_STEPS),
        walk,
        (tf.constant(2), tf.constant(-1), tf.constant(0)),
        parallel_iterations=1,
    )
    return tf.cond(exif >= 0, lambda: _orientation_of_block(encoded, exif), lambda: tf.constant(1))


def _orientation_of_block(encoded: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    """Orientation in the APP1 segment whose marker stands at `position`."""
    head = _bytes_at(encoded, position, 4)
    size = tf.maximum(head[2] * 256 + head[3] - 8, 0)  # less the length field and the Exif mark
    start = tf.minimum(position + 10, tf.strings.length(encoded))
    tiff = tf.strings.substr(encoded, start, size)
    order = _bytes_at(tiff, 0, 8)
    little = _starts_with(order, b"II")

    def number(data):
        """Value of the bytes on the last axis; int64 because TIFF offsets are unsigned 32 bits."""
        data = tf.cast(data, tf.int64)
        powers = tf.constant([256**p for p in range(data.shape[-1])], tf.int64)
        return tf.reduce_sum(data * tf.where(little, powers, powers[::-1]), axis=-1)

    valid = (little | _starts_with(order, b"MM")) & (number(order[2:4]) == 42)
    directory = tf.cast(tf.minimum(number(order[4:8]), tf.cast(tf.strings.length(tiff), tf.int64)), tf.int32)
    count = tf.cast(number(_bytes_at(tiff, directory, 2)), tf.int32)
    entries = tf.strings.substr(tiff, tf.minimum(directory + 2, tf.strings.length(tiff)), count * 12)
    entries = tf.cast(tf.io.decode_raw(entries, tf.uint8), tf.int32)
    entries = tf.reshape(entries[: tf.size(entries) // 12 * 12], [-1, 12])
    kind = number(entries[:, 2:4])
    value = tf.where(kind == _TIFF_SHORT, number(entries[:, 8:10]), number(entries[:, 8:12]))
    usable = (
        valid
        & (number(entries[:, 0:2]) == _ORIENTATION_TAG)
        & ((kind == _TIFF_SHORT) | (kind == _TIFF_LONG))
        & (value >= 1)
        & (value <= 8)
    )
    # The last one counts, as in Pillow; the 1 in front is what remains when there is none.
    return tf.cast(tf.concat([[1], value[usable]], axis=0)[-1], tf.int32)


def _upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turns and mirrors `image` as the Exif orientation asks."""
    image = tf.cond(orientation >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
    upside_down = tf.reduce_any(orientation == [3, 4, 7, 8])
    mirrored = tf.reduce_any(orientation == [2, 3, 6, 7])
    return tf.reverse(image, axis=tf.boolean_mask([0, 1], tf.stack([upside_down, mirrored])))


def _decode_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    shape = tf.cast(tf.io.extract_jpeg_shape(encoded), tf.int64)
    data = tf.io.decode_raw(encoded, tf.uint8)
    scans = tf.math.count_nonzero((data[:-1] == 0xFF) & (data[1:] == 0xDA), dtype=tf.int32)
    few = _require(scans <= MAX_SCANS, [f"JPEG must have at most {MAX_SCANS} scans; scans:", scans])
    with tf.control_dependencies([_check_pixels(shape[1], shape[0]), few]):
        image = tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")
    orientation = exif_orientation(encoded)
    return tf.cond(orientation > 1, lambda: _upright(image, orientation), lambda: image)


def _decode_png(encoded: tf.Tensor, head: tf.Tensor) -> tf.Tensor:
    with tf.control_dependencies([_check_pixels(_big_endian(head[16:20]), _big_endian(head[20:24]))]):
        image = tf.io.decode_png(encoded, channels=4)
    colour, alpha = image[..., :3], image[..., 3:]

    def over_white():
        # 255 * 255 + 127 fits into 16 bits.
        part = tf.cast(alpha, tf.uint16)
        return tf.cast((tf.cast(colour, tf.uint16) * part + 255 * (255 - part) + 127) // 255, tf.uint8)

    # Where the file has no alpha, decode_png fills in the largest value of the file's bit depth: 1, 3, 15 or 255.
    depth = tf.minimum(head[24], 8)
    opaque = tf.cast(tf.bitwise.left_shift(1, depth) - 1, tf.uint8)
    return tf.cond(tf.reduce_all(alpha == opaque) | tf.reduce_all(alpha == 255), lambda: colour, over_white)


def _decode_gif(encoded: tf.Tensor, head: tf.Tensor) -> tf.Tensor:
    width, height = _little_endian(head[6:8]), _little_endian(head[8:10])
    pixels, blocks = _gif_frames(encoded, head[10])
    pixels = tf.maximum(pixels, width * height)
    check = _require(
        (width > 0) & (height > 0) & (pixels <= MAX_PIXELS) & (blocks <= MAX_GIF_BLOCKS),
        [
            f"GIF must have 1 to {MAX_PIXELS} pixels in all frames and at most {MAX_GIF_BLOCKS} blocks; "
            "width, height, pixels, blocks:",
            *(width, height, pixels, blocks),
        ],
    )
    with tf.control_dependencies([check]):
        return tf.io.decode_image(encoded, channels=3, expand_animations=False)


def _gif_frames(encoded: tf.Tensor, flags: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Pixels that the decoder makes room for, int64, and blocks of a GIF, int32 (GIF89a, sections 18 to 25).

    TensorFlow's decoder unpacks every frame, into an image as wide as the widest and as high as the highest of them.
    """
    data = tf.io.decode_raw(encoded, tf.uint8)
    length = tf.size(data)
    places = tf.range(length + 1)
    # From each place the next one in its chain of sub-blocks; a size of 0 ends the chain and stays where it is.
    hops = tf.cast(tf.concat([data, [0]], axis=0), tf.int32)
    hops = tf.where(hops == 0, places, tf.minimum(places + 1 + hops, length))
    for _ in range(_GIF_DOUBLINGS):
        hops = tf.gather(hops, hops)

    def end_of_chain(place):
        return tf.while_loop(
            lambda here, before: here != before,
            lambda here, _: (hops[here], here),
            (hops[place], place),
            parallel_iterations=1,
        )[0]

    def table(packed: tf.Tensor) -> tf.Tensor:
        return tf.where(packed >= 0x80, 3 * tf.bitwise.left_shift(2, packed & 7), 0)

    def walk(position, pixels, width, height, blocks):
        block = _bytes_at(encoded, position, 10)
        is_image = (block[0] == 0x2C) & (position + 10 <= length)
        frame = tf.where(is_image, tf.stack([_little_endian(block[5:7]), _little_endian(block[7:9])]), 0)
        data_at = position + tf.where(is_image, 11 + table(block[9]), 2)
        after = end_of_chain(tf.minimum(data_at, length)) + 1
        return (
            tf.where(is_image | (block[0] == 0x21), after, length),
            pixels + frame[0] * frame[1],
            tf.maximum(width, frame[0]),
            tf.maximum(height, frame[1]),
            blocks + 1,
        )

    zero = tf.constant(0, tf.int64)
    _, pixels, width, height, blocks = tf.while_loop(
        lambda position, *state: (position < length) & (state[-1] <= MAX_GIF_BLOCKS),
        walk,
        (13 + table(flags), zero, zero, zero, tf.constant(0)),
        parallel_iterations=1,
    )
    return tf.maximum(pixels, width * height), blocks


def _decode_bmp(encoded: tf.Tensor, head: tf.Tensor) -> tf.Tensor:
    # decode_bmp shows the indices of a palette as grey, takes the unused byte of 32 bits for alpha and reads
    # compressed data as pixels, hence the care taken here.
    pixels_at, header_size = _little_endian(head[10:14]), _little_endian(head[14:18])
    width, height, depth = _little_endian(head[18:22]), _little_endian(head[22:26]), _little_endian(head[28:30])
    height = tf.minimum(height, 2**32 - height)  # negative: rows from the top
    compression = _little_endian(head[30:34])
    bit_fields = (compression == 3) & (depth == 32)
    checks = [
        _check_pixels(width, height),
        _require(
            (header_size >= 40) & ((compression == 0) | bit_fields),
            ["BMP must be uncompressed with a BITMAPINFOHEADER; header size, compression:", header_size, compression],
        ),
    ]
    with tf.control_dependencies(checks):
        image = tf.io.decode_bmp(encoded)

    def through_palette():
        start = 14 + header_size
        table = tf.strings.substr(
            encoded, *(tf.cast(tf.maximum(v, 0), tf.int32) for v in (start, (pixels_at - start) // 4 * 4))
        )
        blue_green_red = tf.reshape(tf.io.decode_raw(table, tf.uint8), [-1, 4])
        return tf.gather(blue_green_red[:, 2::-1], tf.cast(image[..., 0], tf.int32))

    return tf.cond(depth == 8, through_palette, lambda: image[..., :3])


def _refuse(head: tf.Tensor) -> tf.Tensor:
    # Numbers, because Python cannot raise an error whose message is not UTF-8.
    message = f"not an image: the bytes are none of {', '.join(FORMATS)}; the first are"
    check = _require(False, [message, head[:8]])
    with tf.control_dependencies([check]):
        return tf.zeros([0, 0, 3], tf.uint8)


def _require(condition: tf.Tensor, data: list) -> tf.Operation:
    # `tf.debugging.Assert` puts a branch around the kernel, for data that are costly to make.
    return tf.raw_ops.Assert(condition=condition, data=data, summarize=8)


def _check_pixels(width: tf.Tensor, height: tf.Tensor) -> tf.Operation:
    return _require(
        (width > 0) & (height > 0) & (width * height <= MAX_PIXELS),
        [f"image must have 1 to {MAX_PIXELS} pixels; width, height:", width, height],
    )


def _bytes_at(data: tf.Tensor, position, count: int) -> tf.Tensor:
    """int32 `[count]`: the bytes of `data` from `position`, zeros beyond its end."""
    position = tf.minimum(position, tf.strings.length(data))
    part = tf.strings.substr(data, position, count)
    return tf.cast(tf.ensure_shape(tf.io.decode_raw(part, tf.uint8, fixed_length=count), [count]), tf.int32)


def _starts_with(data: tf.Tensor, prefix: bytes) -> tf.Tensor:
    return tf.reduce_all(data[: len(prefix)] == list(prefix))


def _little_endian(data: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(data, tf.int64) * [256**p for p in range(data.shape[0])])


def _big_endian(data: tf.Tensor) -> tf.Tensor:
    return _little_endian(data[::-1])
