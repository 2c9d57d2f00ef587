"""Banks in object stores, through obstore: reading alone, with a cache on this machine.

`addresses` tells such a bank from a folder, `objects` does what `bank_format.disk.stores` asks of a
store, `cache` keeps what was read. obstore is imported when the first object is asked for.
"""
