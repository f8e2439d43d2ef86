"""pytest's fixtures of the test kit, an entry point; who does not use them imports nothing of it.

It is here because importing anything of msgin5g_testkit puts MicroPython's modules on the path.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest

if TYPE_CHECKING:
    from msgin5g_testkit import Network


@pytest.fixture
def msgin5g_network(request: pytest.FixtureRequest) -> Callable[..., Network]:
    """A function that makes a Network, with its arguments: loss, duplication, delay_ms, seed, ...

    Without a seed each test has one of its own, always the same.
    """
    from msgin5g_testkit import Network

    def make(**how: Any) -> Network:
        how.setdefault("seed", crc32(request.node.nodeid.encode()) % 65521 + 1)
        return Network(**how)

    return make
