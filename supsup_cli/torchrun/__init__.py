"""One command on several processes that torchrun started, on one machine or many.

`place` says which of them this process is, `group` lets them meet, share and gather. Only `group`
imports torch, so that a process without torchrun does not load it.
"""
