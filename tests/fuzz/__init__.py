"""Layers, ops, models and records with random inputs."""
