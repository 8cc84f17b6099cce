"""The standard networks as published, one module each: a function of an image shape and a number of categories."""
