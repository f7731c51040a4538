"""Studio: a page in the browser for people who do not write code, and the server behind it, on this machine alone."""
