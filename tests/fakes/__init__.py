"""Hand-written stand-ins for what needs a GPU, spoken to over real HTTP."""
