"""Banks in object stores, through obstore: only reading, with a cache on this machine.

`addresses` recognises such a bank, `objects` does what `bank_format.disk.stores` requires of a
store, and `cache` keeps what was read. obstore is imported when the first object is needed.
"""
