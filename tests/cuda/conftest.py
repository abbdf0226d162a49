"""The simulator runs a Python thread for each of a block, and every barrier waits for all of them."""

import sys

sys.setswitchinterval(1e-4)
