"""The other methods of the paper, each in a short file with its source.

They use only the core. A method says which numbers all tasks share, which are a task's own, and how
both make the weights of one network; `learner` has the one loop that all methods learn by. Shape
letters are those of `supsup_cli.core`; K is the number of a task's classes.
"""
