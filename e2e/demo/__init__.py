"""The project's main job: the whole product at work, under load and faults, on a real cluster."""
