"""The company's own directories, asked who somebody is.

In comes what a person has shown (a password, or what a provider gave the browser); out goes what
the directory says of that person, as a `Vouched`, which the store turns into a user. This room
opens connections to the one server that a setting names, and knows nothing of HTTP requests,
sessions or access.
"""
