"""One command on several processes that torchrun started, on one machine or many.

`place` says which of them this process is, `group` lets them meet, share and gather. torch is
imported by `group` alone, so nothing of it is loaded where torchrun did not start the process.
"""
