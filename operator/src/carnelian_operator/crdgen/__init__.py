"""Writes what follows from the models: resource definitions, reference pages, parts of the Helm chart."""
