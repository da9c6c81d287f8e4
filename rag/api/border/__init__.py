"""What every call passes: who it is from, how much that one may ask for, and how a failure looks.

`middleware` is what stands before all routes, `callers` what a route says about whom it is for.
"""
