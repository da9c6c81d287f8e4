"""Audit records on their way out: to a file, to syslog, to whoever collects them.

In: records of `store.audit`. Out: JSON lines with the field names of OCSF, the Open Cybersecurity
Schema Framework. What this room does not know: how a record comes to be, and how the chain holds.
"""
