"""Reads the frame sizes of AV1 data without decoding it. A decoder allocates memory for these sizes, even if the
container announces other ones.

Syntax: AV1 Bitstream & Decoding Process Specification, sections 5.3 to 5.9.
"""

from __future__ import annotations

from dataclasses import dataclass

_SEQUENCE_HEADER = 1
_FRAMES = (3, 6, 7)  # unit types: frame header, frame, redundant frame header
_SELECT = 2  # a value that means that each frame chooses
_KEY, _SWITCH = 0, 3
_HEADER_BYTES = 64  # enough for all header fields that are read
_MAX_UNITS = 100_000


class BadBitstream(ValueError):
    """The data is not AV1, or a frame has another size than its sequence."""


@dataclass(frozen=True)
class _Sequence:
    """The values of a sequence header that are needed to read its frame headers."""

    width: int
    height: int
    is_still: bool  # then all frames have the sequence's size
    time_bits: int
    id_bits: int
    screen_content: int
    integer_mv: int


def largest_frame(data: bytes) -> tuple[int, int]:
    """Width and height of the largest frame that the data announces; (0, 0) if there is none. Raises BadBitstream."""
    largest, sequence, position, units = (0, 0), None, 0, 0
    while position < len(data):
        units += 1
        if units > _MAX_UNITS:
            raise BadBitstream(f"it has more than {_MAX_UNITS:,} units")
        kind, position, stop = _unit(data, position)
        bits = _Bits(data[position : min(stop, position + _HEADER_BYTES)])
        if kind == _SEQUENCE_HEADER:
            sequence = _sequence(bits)
            largest = max(largest, (sequence.width, sequence.height), key=lambda size: size[0] * size[1])
        elif kind in _FRAMES and sequence and _has_own_size(bits, sequence):
            raise BadBitstream("a frame differs in size from its sequence")
        position = stop
    return largest


def _unit(data, position):
    """(type, start, end) of the open bitstream unit at `position`."""
    header = data[position]
    position += 2 if header & 4 else 1
    stop = len(data)
    if header & 2:
        size = shift = 0
        while True:
            if position >= len(data) or shift > 49:
                raise BadBitstream("it is cut short")
            byte = data[position]
            position += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        stop = position + size
    if header & 0x80 or stop > len(data):
        raise BadBitstream("it is cut short")
    return header >> 3 & 15, position, stop


class _Bits:
    def __init__(self, data: bytes):
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def read(self, count: int = 1) -> int:
        self._left -= count
        if self._left < 0:
            raise BadBitstream("a header is cut short")
        return self._value >> self._left & ((1 << count) - 1)

    def skip_variable(self) -> None:
        zeros = 0
        while not self.read():
            zeros += 1
        self.read(zeros if zeros < 32 else 0)


def _sequence(bits):
    bits.read(4)  # profile, still picture
    reduced = bits.read()
    time_bits = 0 if reduced else _skip_timing(bits)
    if reduced:
        bits.read(5)  # level
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    width, height = bits.read(width_bits) + 1, bits.read(height_bits) + 1
    if reduced:
        return _Sequence(width, height, True, 0, 0, _SELECT, _SELECT)
    id_bits = 0
    if bits.read():
        id_bits = bits.read(4) + 2
        id_bits += bits.read(3) + 1
    bits.read(7)  # seven flags: the superblock size, and which coding tools are enabled
    if bits.read():  # order hints
        bits.read(2)
    screen_content = _SELECT if bits.read() else bits.read()
    integer_mv = _SELECT
    if screen_content and not bits.read():
        integer_mv = bits.read()
    return _Sequence(width, height, False, time_bits, id_bits, screen_content, integer_mv)


def _skip_timing(bits):
    """Skip everything up to the end of the operating points. Returns the number of bits of a frame's time, or 0."""
    equal_intervals = delay_bits = time_bits = 0
    if bits.read():
        bits.read(64)
        equal_intervals = bits.read()
        if equal_intervals:
            bits.skip_variable()
        if bits.read():
            delay_bits = bits.read(5) + 1
            bits.read(37)
            time_bits = bits.read(5) + 1
    has_display_delay = bits.read()
    for _ in range(bits.read(5) + 1):
        bits.read(12)
        if bits.read(5) > 7:
            bits.read()
        if delay_bits and bits.read():
            bits.read(2 * delay_bits + 1)
        if has_display_delay and bits.read():
            bits.read(4)
    return 0 if equal_intervals else time_bits


def _has_own_size(bits, sequence):
    """Whether a frame has a size of its own, which no decoder compares with the sequence's."""
    if sequence.is_still or bits.read():  # or an earlier frame is shown again
        return False
    kind, is_shown = bits.read(2), bits.read()
    if is_shown and sequence.time_bits:
        bits.read(sequence.time_bits)
    if not is_shown:
        bits.read()
    if kind != _SWITCH and not (kind == _KEY and is_shown):
        bits.read()
    bits.read()
    screen_content = bits.read() if sequence.screen_content == _SELECT else sequence.screen_content
    if screen_content and sequence.integer_mv == _SELECT:
        bits.read()
    bits.read(sequence.id_bits)
    return kind == _SWITCH or bool(bits.read())
