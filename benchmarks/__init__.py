"""Measurements: speed against a peer, start-up, and published numbers. Run with ``scripts/bench``."""
