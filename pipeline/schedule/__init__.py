"""The scheduler: when a pipeline runs by itself, what became of each due time, and the daemon that does it.

A trigger gives a tick (a due time or an event, each with a key that can be recorded once only); a tick gets a decision with a reason;
a decision to run gets an attempt, whose run id is recorded before its process is started. Each of these steps is one transaction in
the database of `pipeline.schedule.tables`, so that a daemon that is killed between any two of them is continued by the next one.

Runs are processes of their own (`cauce run`): this package imports neither components nor Beam nor a library of machine learning.
"""
