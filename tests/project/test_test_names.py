"""Processes that share the tests out have to come to the same names for them."""

import pytest


@pytest.mark.parametrize("content", [b"\x1f\x8b\x08"])
def test_bytes_are_named_by_how_many_they_are(content, request):
    assert request.node.name.endswith(f"[{len(content)}_bytes]")
