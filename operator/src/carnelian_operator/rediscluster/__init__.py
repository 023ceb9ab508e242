"""Instances: observe everything once, plan without I/O, act by typed and idempotent actions."""
