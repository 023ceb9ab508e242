"""The operator's way to the servers: what it reads from them, what it tells them, and what it hears from them."""
