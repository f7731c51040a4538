"""Apps: thin doors to the library that do not know each other, where words typed by people become one library call."""
