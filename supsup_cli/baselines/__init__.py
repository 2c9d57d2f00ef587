"""The other methods of the paper, each in a short file with its source.

They sit above the core and beside nothing: a method says which numbers all tasks share, which are
a task's own, and how the two make the weights of one network; `learner` has the one loop that all
of them learn by. Shape letters are those of `supsup_cli.core`; K stands for a task's classes.
"""
