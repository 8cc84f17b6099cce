"""Memory that the web processes of a host share, and locks between them."""
