"""Imported last by the fork server: excludes everything imported so far from garbage collection.

Otherwise each collection in each forked process would visit, and so copy, all of these pages.
"""

import gc

gc.collect()
gc.freeze()
