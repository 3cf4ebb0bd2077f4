"""PyTorch passes the behaviour tests of `tests/device`: what they demand of ingot is what PyTorch
does."""

from __future__ import annotations

import pytest
from test_autograd import *  # noqa: F403 - collected here, with this folder's fixtures
from test_autograd_hooks import *  # noqa: F403
from test_errors import *  # noqa: F403
from test_indexing import *  # noqa: F403
from test_tensor import *  # noqa: F403

pytestmark = pytest.mark.torch
