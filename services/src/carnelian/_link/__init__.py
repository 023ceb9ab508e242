"""The link layer: commands of one event-loop tick travel together, on one connection per server."""
