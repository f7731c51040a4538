"""How a run comes about: requests, feeds, the loop's surroundings, several processes, samplers after the fit."""
