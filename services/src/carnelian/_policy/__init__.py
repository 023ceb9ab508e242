"""The policies that this process enforces: where they come from, which are held, and saying so."""
