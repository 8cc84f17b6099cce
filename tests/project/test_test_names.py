"""Names of parametrized tests: all processes of xdist have to collect the same names."""

import pytest


@pytest.mark.parametrize("content", [b"\x1f\x8b\x08"])
def test_a_parameter_of_bytes_is_named_after_its_length(content, request):
    assert request.node.name.endswith(f"[{len(content)}_bytes]")
