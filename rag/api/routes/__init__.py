"""The routes, by subject, and the tools of the MCP server. `rag.api` has the table of them."""
