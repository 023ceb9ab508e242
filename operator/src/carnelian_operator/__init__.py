"""The Carnelian operator: observe, plan, act."""

__version__ = "0.1.0"
