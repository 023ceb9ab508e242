"""The fourth floor: everything on a real cluster, with real faults."""
