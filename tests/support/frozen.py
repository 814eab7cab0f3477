"""Imported last by the fork server: what it has imported is never looked at by a garbage collection again.

Each collection in each forked process would walk, and so copy, all of it.
"""

import gc

gc.collect()
gc.freeze()
