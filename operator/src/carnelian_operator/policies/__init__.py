"""Brings policies into the data plane, and reads back who enforces them."""
