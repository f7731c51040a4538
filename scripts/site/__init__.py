"""What builds the documentation site: mathematics, generated pages, pictures, checks of links."""
