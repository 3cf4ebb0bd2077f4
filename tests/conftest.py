"""What holds for every test: a busy machine is no reason to lose a device.

Many tests start processes, each of which looks for devices, and some start eight at once on two cores. What a user gets who
sets nothing, `tests/core/test_discovery.py` sees.
"""

import os

os.environ.setdefault("INGOT_PROBE_TIMEOUT", "60")
