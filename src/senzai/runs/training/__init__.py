"""Training a run: requests, feeds, what surrounds the loop, several processes, samplers after the fit."""
