"""Apps: thin layers over the library that do not import each other; each turns what was typed into one library call."""
