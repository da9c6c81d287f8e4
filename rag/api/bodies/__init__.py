"""What is sent and answered, as the API documents and validates it, each with an example."""
