"""What holds for every test: a busy machine is no reason to lose a device, and a Ctrl-C is noticed.

Many tests start processes, each of which looks for devices, and some start eight at once on two cores. What a user gets who
sets nothing, `tests/core/test_discovery.py` sees.
"""

import os
import signal

os.environ.setdefault("INGOT_PROBE_TIMEOUT", "60")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # begun in the background by a shell, and children would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
